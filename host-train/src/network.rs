//! A network with its weights and preprocessing, and its checkpoint files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sepconv_quantize::dataset::Preprocess;
use serde::{Deserialize, Serialize};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use crate::train::Settings;
use crate::{TrainError, Xception, XceptionConfig, files};

/// The key of the safetensors metadata that holds a [`Header`].
const METADATA_KEY: &str = "sepconv-train";

/// A network, its weights, and what is done to images before they enter it.
#[derive(Debug)]
pub struct Network {
    /// The layers.
    pub xception: Xception,
    /// The weights, and the running statistics of batch normalization.
    pub store: VarStore,
    /// Size, normalization and class names.
    pub preprocess: Preprocess,
}

/// What a checkpoint says beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The network.
    pub config: XceptionConfig,
    /// Size, normalization and class names.
    pub preprocess: Preprocess,
    /// How it is trained.
    pub settings: Settings,
    /// Epochs finished.
    pub epochs: u32,
    /// Optimizer steps taken.
    pub steps: u64,
}

impl Network {
    /// A network with random weights, on `device`; they depend on `seed` alone.
    pub fn new(
        config: &XceptionConfig,
        preprocess: Preprocess,
        seed: u64,
        device: Device,
    ) -> Result<Network, TrainError> {
        config.check()?;
        preprocess.check()?;
        // Weights are drawn on the CPU, so that a seed means the same with and without a GPU.
        let mut store = VarStore::new(Device::Cpu);
        let xception = {
            // libtorch's generator belongs to the whole process.
            static GENERATOR: Mutex<()> = Mutex::new(());
            let _generator = GENERATOR.lock();
            tch::manual_seed(seed as i64);
            Xception::new(&store.root(), config)
        };
        store.set_device(device);
        Ok(Network {
            xception,
            store,
            preprocess,
        })
    }

    /// Reads the network in a checkpoint.
    pub fn load(path: &Path, device: Device) -> Result<Network, TrainError> {
        let (header, tensors) = read_checkpoint(path)?;
        Network::from_checkpoint(path, &header, &tensors, device)
    }

    /// Makes the network that a checkpoint, read from `path`, describes.
    pub(crate) fn from_checkpoint(
        path: &Path,
        header: &Header,
        tensors: &HashMap<String, Tensor>,
        device: Device,
    ) -> Result<Network, TrainError> {
        let network = Network::new(&header.config, header.preprocess.clone(), 0, device)?;
        copy_tensors(path, tensors, network.store.variables())?;
        Ok(network)
    }
}

/// Writes tensors and header as a safetensors file, all or nothing.
pub(crate) fn write_checkpoint(
    path: &Path,
    header: &Header,
    tensors: BTreeMap<String, Tensor>,
) -> Result<(), TrainError> {
    let json = serde_json::to_string(header).expect("plain numbers and strings serialize");
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().into_iter().map(|side| side as usize).collect();
            (name, shape, bytes_of(&tensor))
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.as_str(), view.expect("four bytes an element"))
        })
        .collect();
    let metadata = HashMap::from([(METADATA_KEY.to_string(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).expect("names are unique");
    files::write(path, &bytes)
}

/// Reads header and tensors, all `f32` on the CPU.
pub(crate) fn read_checkpoint(path: &Path) -> Result<(Header, HashMap<String, Tensor>), TrainError> {
    let bytes = fs::read(path).map_err(TrainError::io(path))?;
    let refuse = |what: String| TrainError::Checkpoint {
        path: path.to_path_buf(),
        what,
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| refuse(error.to_string()))?;
    let json = metadata.metadata().as_ref().and_then(|all| all.get(METADATA_KEY));
    let json = json.ok_or_else(|| refuse(format!("no {METADATA_KEY:?} in the metadata")))?;
    let header: Header = serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
    header.config.check()?;
    header.preprocess.check()?;
    if header.preprocess.size() != header.config.size() {
        return Err(refuse(
            "network and preprocessing differ in image size".to_string(),
        ));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| refuse(error.to_string()))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(refuse(format!("tensor {name} holds {:?}, not F32", view.dtype())));
        }
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        tensors.insert(name, Tensor::from_data_size(view.data(), &shape, Kind::Float));
    }
    Ok((header, tensors))
}

/// Fills `targets` with the tensors of the same names, read from `path`.
pub(crate) fn copy_tensors(
    path: &Path,
    tensors: &HashMap<String, Tensor>,
    targets: impl IntoIterator<Item = (String, Tensor)>,
) -> Result<(), TrainError> {
    for (name, mut target) in targets {
        let refuse = |what: String| TrainError::Checkpoint {
            path: path.to_path_buf(),
            what,
        };
        let source = tensors
            .get(&name)
            .ok_or_else(|| refuse(format!("tensor {name} is missing")))?;
        if source.size() != target.size() {
            let what = format!("tensor {name} is {:?}, not {:?}", source.size(), target.size());
            return Err(refuse(what));
        }
        tch::no_grad(|| target.copy_(source));
    }
    Ok(())
}

/// The elements of an `f32` tensor, little-endian.
pub(crate) fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    values_of(tensor).into_iter().flat_map(f32::to_le_bytes).collect()
}

/// The elements of an `f32` tensor in row-major order.
pub(crate) fn values_of(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(Device::Cpu).contiguous().view(-1);
    Vec::try_from(&flat).expect("a flat tensor of f32")
}
