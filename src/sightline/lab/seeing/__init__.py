"""What experiments about seeing share: classic and Gabor kernels, digits on a canvas, numbers as pictures."""
