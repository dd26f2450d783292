# From the processor's reset to `main` in 64-bit mode, all instruction sets enabled. AT&T syntax.

# 16-bit code, in the last 64 KiB below 4 GiB.
    .section .reset, "ax"
    .code16
    .globl reset
reset:
    cli
    jmp boot
    .balign 16

    .section .rom, "ax"
boot:
    data32 lgdtl %cs:(descriptors_place - boot + 0xf000)
    mov %cr0, %eax
    or $1, %eax                         # protected mode
    mov %eax, %cr0
    ljmpl $0x08, $boot_32

    .code32
boot_32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    cld
    mov $ROM, %esi
    mov $RAM, %edi
    mov $program_len, %ecx
    rep movsb
    mov $bss_len, %ecx
    xor %eax, %eax
    rep stosb
    mov $start, %eax
    jmp *%eax

descriptors_place:
    .word descriptors_end - descriptors - 1
    .long descriptors_in_rom

# In RAM from here on.
    .section .text.start, "ax"
    .balign 8
    .globl descriptors
descriptors:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code, 4 GiB
    .quad 0x00cf93000000ffff            # 0x10: data, 4 GiB
    .quad 0x00af9b000000ffff            # 0x18: 64-bit code
    .quad 0x00cf93000000ffff            # 0x20: data, for system calls
descriptors_end:
descriptors_place_in_ram:
    .word descriptors_end - descriptors - 1
    .long descriptors

start:
    lgdtl descriptors_place_in_ram      # the ROM will not be mapped
    # The first GiB at its own addresses, in pages of 2 MiB.
    movl $page_directories + 3, page_map
    movl $page_directory + 3, page_directories
    mov $page_directory, %edi
    mov $0x83, %eax
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    cmp $page_directory + 4096, %edi
    jne 1b
    mov $page_map, %eax
    mov %eax, %cr3
    mov $0x40620, %eax                  # PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
    mov %eax, %cr4
    mov $0xc0000080, %ecx               # EFER: long mode, system calls
    rdmsr
    or $0x101, %eax
    wrmsr
    mov $0x80000023, %eax               # paging, floating point, protected mode
    mov %eax, %cr0
    ljmpl $0x18, $start_64

    .code64
start_64:
    mov $stack_end, %esp
    mov $0xd, %eax                      # all states that the processor has
    xor %ecx, %ecx
    cpuid
    xor %ecx, %ecx
    xsetbv
    mov $0xc0000081, %ecx               # STAR: the segments of system calls
    xor %eax, %eax
    mov $0x18, %edx
    wrmsr
    inc %ecx                            # LSTAR: their entry
    mov $system_call, %eax
    xor %edx, %edx
    wrmsr
    call main
    ud2

# Linux's part: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) is answered as `main` says, all else with EINVAL.
system_call:
    cmp $158, %rax
    jne 1f
    cmp $0x1023, %rdi
    jne 1f
    cmp $18, %rsi
    jne 1f
    mov permission_for_tiles, %rax
    jmp *%rcx
1:  mov $-22, %rax
    jmp *%rcx

    .section .data.permission, "aw"
    .balign 8
    .globl permission_for_tiles
permission_for_tiles:
    .quad -95                           # EOPNOTSUPP

    .section .text.library, "ax"
# What the compiler expects of a C library.
    .globl memcpy, memmove, memset, memcmp, bcmp
memmove:
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax
    jae memcpy
    mov %rdi, %rax
    mov %rdx, %rcx
    lea -1(%rdi, %rdx), %rdi
    lea -1(%rsi, %rdx), %rsi
    std
    rep movsb
    cld
    ret
memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    rep movsb
    ret
memset:
    mov %rdi, %r8
    mov %esi, %eax
    mov %rdx, %rcx
    rep stosb
    mov %r8, %rax
    ret
bcmp:
memcmp:
    xor %eax, %eax
    mov %rdx, %rcx
    test %rcx, %rcx
    jz 1f
    repe cmpsb
    movzbl -1(%rdi), %ecx
    movzbl -1(%rsi), %eax
    sub %ecx, %eax
1:  ret

    .section .bss.start, "aw", @nobits
    .balign 4096
page_map:
    .skip 4096
page_directories:
    .skip 4096
page_directory:
    .skip 4096
stack:
    .skip 1 << 20
stack_end:
