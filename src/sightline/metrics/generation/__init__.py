"""Generated images: how close they are to true ones, which modes a set of them reaches, which training images it repeats."""
