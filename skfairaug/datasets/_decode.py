"""Compressed images to arrays, and the optional packages that read them."""

import io
from importlib import import_module

import numpy as np


def import_extra(name, package):
    """Import a module of the extra `images`.

    Parameters
    ----------
    name : str
        Module, such as ``"PIL.Image"``.
    package : str
        What pip calls it.

    Returns
    -------
    module : module
        The module.

    Raises
    ------
    ImportError
        If it is not installed; says how to install it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"reading these images needs {package}, which is not installed; run "
            '`pip install "skfairaug[images]"`'
        ) from error


def decode_image(source, size=None):
    """Decode an image to red, green and blue pixels.

    Parameters
    ----------
    source : bytes or path-like
        A JPEG, PNG or other file, as bytes or by its path.
    size : int, default=None
        Height and width to which the largest square in the middle is scaled; None keeps
        the whole image.

    Returns
    -------
    image : ndarray of uint8 of shape (3, height, width)
        Pixels, a view with the channels last in memory.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If the file is missing or is not an image.
    """
    pillow = import_extra("PIL.Image", "Pillow")
    with pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        image = image.convert("RGB")
        if size is not None and image.size != (size, size):
            width, height = image.size
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            # Cropped first: resize(box=) would let pixels outside of it shine in.
            image = image.crop((left, top, left + side, top + side))
            image = image.resize((size, size), pillow.Resampling.BILINEAR)
        return np.asarray(image).transpose(2, 0, 1)


def decode_images(sources, size=None, names=None):
    """Decode images of one shape into an array.

    Parameters
    ----------
    sources : sequence of bytes or of path-like
        At least one file, as for :func:`decode_image`.
    size : int, default=None
        As for :func:`decode_image`.
    names : sequence of str, default=None
        What the images are called in an error; None means `sources`.

    Returns
    -------
    images : ndarray of uint8 of shape (n_sources, 3, height, width)
        Pixels, contiguous.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If a file is missing or is not an image.
    ValueError
        If the shapes differ.
    """
    first = decode_image(sources[0], size)
    images = np.empty((len(sources), *first.shape), dtype=np.uint8)
    for i, source in enumerate(sources):
        image = first if i == 0 else decode_image(source, size)
        if image.shape != first.shape:
            names = sources if names is None else names
            raise ValueError(
                f"all images must have one shape: {names[0]} has (3, height, width) "
                f"{first.shape}, {names[i]} has {image.shape}. `size` scales them."
            )
        images[i] = image
    return images
