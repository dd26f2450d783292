"""Unpacks the data sets that accuracy is measured on, for `sepconv` to read.

Writes, into a folder: images of faces (FER2013) and of CIFAR-10 as PNG and JPEG files with tables of labels, and keyword
spotting features as arrays. Calibration data and evaluation data never overlap.
"""

import argparse
import lzma
import pathlib
import tarfile

import numpy
from PIL import Image

CALIBRATION = 200


def faces(source, target):
    """A record is a label byte and 48 x 48 grey bytes."""
    for part, count in (("train", CALIBRATION), ("test", None)):
        records = numpy.frombuffer(lzma.open(source / f"{part}.bin.xz").read(), numpy.uint8).reshape(-1, 1 + 48 * 48)
        folder = target / ("calibration" if part == "train" else "test")
        folder.mkdir(parents=True)
        rows = []
        for number, record in enumerate(records[:count]):
            Image.fromarray(record[1:].reshape(48, 48)).save(folder / f"{number:05}.png")
            rows.append(f"{number:05}.png\t{record[0]}\n")
        (folder / "labels.tsv").write_text("".join(rows))


def cifar(source, target):
    """Classes are numbered in alphabetical order, as in CIFAR-10."""
    classes = "airplane automobile bird cat deer dog frog horse ship truck".split()
    for part in ("calibration", "test"):
        (target / part).mkdir(parents=True)
    rows, calibration = [], 0
    with tarfile.open(source / "cifar10_jpeg.tar.xz") as archive:
        for member in archive:
            path = pathlib.PurePosixPath(member.name)
            if path.suffix != ".jpg":
                continue
            part, name = path.parts[-3], path.parts[-2]
            if part == "train" and calibration >= CALIBRATION:
                continue
            pixels = archive.extractfile(member).read()
            if part == "train":
                calibration += 1
                (target / "calibration" / f"{name}-{path.name}").write_bytes(pixels)
            elif part == "test":
                file = f"{name}-{path.name}"
                (target / "test" / file).write_bytes(pixels)
                rows.append(f"{file}\t{classes.index(name)}\n")
    (target / "test" / "labels.tsv").write_text("".join(rows))


def keywords(source, target):
    """The first samples calibrate, the others are evaluated."""
    data = numpy.load(source / "kws01.npz")
    target.mkdir(parents=True)
    inputs, labels = data["input"], data["label"]
    numpy.save(target / "calibration.npy", inputs[:CALIBRATION // 2])
    numpy.savez(target / "test.npz", input=inputs[CALIBRATION // 2 :], label=labels[CALIBRATION // 2 :])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="the folder of data sets")
    parser.add_argument("target", type=pathlib.Path, help="where the unpacked ones go")
    arguments = parser.parse_args()
    for name, folder, unpack in (
        ("faces", "fer2013", faces),
        ("cifar10", "cifar10", cifar),
        ("keywords", "kws01", keywords),
    ):
        done = arguments.target / name
        if (arguments.data / folder).is_dir() and not done.exists():
            partial = arguments.target / f"{name}.partial"
            unpack(arguments.data / folder, partial)
            partial.rename(done)


if __name__ == "__main__":
    main()
