"""Makes the files of this folder with NumPy (2.4.6 made these)."""
import numpy as np

arrays = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3) / 2,
    "double": np.array([-1.0, 3.0]),
    "half": np.array([0.25], dtype=np.float16),
    "long": np.array([[7], [-8]]),
    "int": np.int32(9),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "bool": np.array([True, False, True]),
    "byte": np.array([1, 255], dtype=np.uint8),
}
np.savez("plain.npz", **arrays)
np.savez_compressed("compressed.npz", **arrays)
