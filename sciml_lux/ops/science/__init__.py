"""Bases of functions, splines, and convolution by Fourier modes."""

from ._bases import chebyshev_basis as chebyshev_basis
from ._bases import cosine_basis as cosine_basis
from ._bases import fourier_basis as fourier_basis
from ._bases import legendre_basis as legendre_basis
from ._bases import polynomial_basis as polynomial_basis
from ._bases import sine_basis as sine_basis
from ._interpolate import LEAST_KNOTS as LEAST_KNOTS
from ._interpolate import SplineBasis as SplineBasis
from ._interpolate import interpolate as interpolate
from ._spectral_convolution import spectral_convolution as spectral_convolution
