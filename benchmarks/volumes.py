"""Speed and memory of volumes: python -m benchmarks.volumes [patches] [tiles] [memory]

patches: samples per second out of the pipeline with full augmentation, from volumes in memory and from records, and
    how many a training on two cores takes. tiles: tiled prediction against the network alone on the same voxels.
memory: the peak while a volume of 512 x 512 x 300 voxels with 3 classes is predicted, without that of the network.
Times are compared within one run; each is the median of several repetitions, taken in turn.
"""

import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

REPETITIONS = 5
AUGMENTATION = {
    "rotation": 15,
    "scaling": 0.15,
    "shift": 3,
    "elastic": 1.5,
    "brightness": 0.1,
    "contrast": 0.15,
    "gamma": 0.3,
    "blur": 0.7,
    "low_resolution": 0.5,
    "noise": 0.1,
}


def patches() -> None:
    """Time crops of 48^3 from eight volumes of 96^3, every change happening to every sample."""
    import unet_common  # noqa: F401  (sets TensorFlow up)
    from data.commands.pack import pack
    from data.labels.outputs import Outputs
    from data.pipeline import training_batches
    from data.preprocessing.preprocessor import Preprocessor
    from data.sampling import sampler as sampling
    from data.sampling.sampler import Sampler
    from data.settings import Augmentation, Preprocessing, Sampling
    from data.source import Source
    from data.sources import Blobs3d, Packed
    from unet_common.implementation import load
    from unet_common.networks import UNet

    settings = Preprocessing(normalisation="case")
    generated = Blobs3d(images=8, size=(96, 96, 96))
    with tempfile.TemporaryDirectory() as folder:
        sources: dict[str, Source] = {"generated, in memory": generated}
        for form in ("hdf5", "tfrecord"):
            pack(generated, settings, form, Path(folder) / form)
            sources[form] = Packed(directory=Path(folder) / form)
        kept = sampling.CACHE_BYTES
        for name, source in sources.items():
            sampling.CACHE_BYTES = (
                kept if name.endswith("memory") else 0
            )  # records: read again for every sample
            samples = Sampler(
                source,
                source.names(),
                Sampling(crop=(48, 48, 48)),
                Augmentation(**AUGMENTATION),
                Preprocessor(settings),
                0,
                Outputs(3),
            )
            batches = iter(training_batches(samples, 4, 0, 40, workers=1))
            next(batches)
            start = time.perf_counter()
            for _ in range(8):
                next(batches)
            print(f"{name}: {8 * 4 / (time.perf_counter() - start):.1f} samples per second with one worker")
    network = UNet(rank=3, depth=4, classes=3)
    model = load("keras").Model(network)
    images = np.zeros((4, 48, 48, 48, 1), np.float32)
    targets = np.zeros((4, 48, 48, 48, 3), np.float32)
    model.loss_and_gradients(images, targets, "dice")
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        model.loss_and_gradients(images, targets, "dice")
        times.append(time.perf_counter() - start)
    print(f"a gradient of unet with 16 filters takes {4 / median(times):.1f} samples per second")


def tiles() -> None:
    """Time a volume of 128^3 in tiles of 64^3 without overlap, against the network on the same eight tiles."""
    from unet_common.implementation import load
    from unet_common.networks import UNet
    from unet_common.prediction.settings import PredictionSettings
    from unet_common.prediction.sliding_window import predict_probabilities

    network = UNet(rank=3, depth=4, classes=3)
    model = load("keras").Model(network)
    image = np.random.default_rng(0).standard_normal((128, 128, 128, 1)).astype(np.float32)
    pieces = [
        np.ascontiguousarray(image[i : i + 64, j : j + 64, k : k + 64][np.newaxis])
        for i in (0, 64)
        for j in (0, 64)
        for k in (0, 64)
    ]
    model.predict(pieces[0])
    alone, tiled = [], []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        for piece in pieces:
            model.predict(piece)
        alone.append(time.perf_counter() - start)
        start = time.perf_counter()
        predict_probabilities(model.predict, image, network, PredictionSettings(tile=64, overlap=0.0))
        tiled.append(time.perf_counter() - start)
    ratios = [whole / part for whole, part in zip(tiled, alone, strict=True)]
    print(
        f"tiled prediction takes {median(ratios):.3f} of the network's own time "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def memory() -> None:
    """Measure memory in a process of its own, with a function in place of the network."""
    code = "import benchmarks.volumes as b; b.large_volume()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def large_volume() -> None:
    """Predict 512 x 512 x 300 voxels and tell by how much the peak memory of this process grew."""
    from data.labels.outputs import Outputs
    from data.preprocessing.preprocessor import Preprocessor
    from data.settings import Preprocessing
    from data.source import Case
    from unet_common.networks import UNet
    from unet_common.prediction.settings import PredictionSettings
    from unet_common.prediction.sliding_window import predict_slabs

    network = UNet(rank=3, depth=4, classes=3)

    def logits(images: np.ndarray) -> np.ndarray:
        return np.concatenate([images, -images, 0 * images], -1)

    with PeakMemory() as memory:
        case = Case("large", np.ones((512, 512, 300, 1), np.float32))
        image = Preprocessor(Preprocessing(normalisation="case"))(case).image
        label = np.empty(image.shape[:-1], np.uint8)
        for rows, slab in predict_slabs(logits, image, network, PredictionSettings(tile=128)):
            label[rows] = Outputs(3).label_map(slab)
    print(f"512 x 512 x 300 voxels, 3 classes, tiles of 128: {memory.peak / 2**30:.2f} GiB at the most")


class PeakMemory:
    """The most bytes by which the resident memory of this process grew; looked up every 10 ms.

    The kernel's own maximum cannot be reset, and includes what importing took.
    """

    def __enter__(self) -> "PeakMemory":
        self.peak, self._before, self._ended = 0, self._resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.peak = max(self.peak, self._resident() - self._before)

    @staticmethod
    def _resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["patches", "tiles", "memory"]:
        {"patches": patches, "tiles": tiles, "memory": memory}[chosen]()
