"""Files and folders of other formats: what to do with them instead of reading them."""

from collections.abc import Iterable

_SAVE = "safetensors.torch.save_file(tensors, new_path)"

_ENDS = {
    (".pkl", ".pickle", ".joblib"): f"pickles are not opened; where you trust them, write their tensors with {_SAVE}",
    (".npz", ".npy"): "write its arrays with safetensors.numpy.save_file(dict(numpy.load(path)), new_path)",
    (".msgpack",): "of Flax: write it with safetensors.flax.save_file(flatten_dict(msgpack_restore(bytes), sep='.'), "
    "new_path)",
    (".h5", ".hdf5", ".keras"): "of Keras: write its arrays with safetensors.numpy.save_file(arrays, new_path)",
    (".gguf", ".ggml"): "quantised weights are not read; give the checkpoint that it was made of",
    (".onnx",): "a graph for inference; write the weights of the model with safetensors.torch.save_model",
    (".pt2", ".pte", ".ptl", ".mar"): "a program with weights; where you trust it, write its state_dict with "
    "safetensors.torch.save_file",
    (".index", ".data-00000-of-00001"): "of TensorFlow: write the variables of tf.train.load_checkpoint(path) with "
    "safetensors.numpy.save_file(arrays, new_path)",
    (".nemo", ".tar", ".tar.gz", ".tgz", ".zip"): "an archive; unpack it",
    (".distcp",): "part of a distributed checkpoint: give the folder above the one that holds it and .metadata",
}
"""Advice by the end of a name."""

_ORBAX = ("_CHECKPOINT_METADATA", "manifest.ocdbt", "_METADATA", "_sharding")


def conversion(name: str) -> str:
    """Say what to do with a file that is not read, by the end of its name; empty for one that is not known."""
    return next((advice for ends, advice in _ENDS.items() if name.endswith(ends)), "")


def refused(names: Iterable[str]) -> str:
    """Say of a folder in which no weights were found which of its files are not read, and what to do with them.

    Args:
        names: Names of what it holds.

    Returns:
        The words; empty where nothing is known of these names.
    """
    known = sorted(names)
    if any(name in _ORBAX for name in known):
        return (
            "it is a checkpoint of Orbax (JAX): restore it and write its arrays with "
            "safetensors.numpy.save_file(arrays, new_path)"
        )
    if any(name.endswith(".distcp") for name in known):
        return "it holds .distcp files without their .metadata: saving was not finished, or copy that file, too"
    named = next(((name, conversion(name)) for name in known if conversion(name)), None)
    return f"{named[0]} is not read: {named[1]}" if named else ""
