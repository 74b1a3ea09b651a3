"""The VampPrior: a mixture of the guide's own posteriors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pyro_gnr.model.densities import PrecisionMixture
from pyro_gnr.model.guide import Encoder
from pyro_gnr.model.priors.base import Prior, check_count

__all__ = ["VampPrior"]

# Adam moves a number by about its learning rate a step, whatever the gradient. Relaxed zeros and
# ones have to cross the unit interval in the time in which features move a little.
QUICK = 10.0
# Largest precision, over all directions of z, that a pseudo-row's cells add at the start.
FAINT = 0.1
# Where the relaxed m of pseudo-rows starts, so that neither 0 nor 1 is out of reach.
NEARLY = 0.9
# Spread of the pseudo-rows' features before they are rows, and of what keeps copies of one row
# apart after it.
JITTER = 0.1


class VampPrior(Prior):
    r"""p(z) = (1/C) sum_c q(z | r_c): the mixture of the guide's posteriors of C pseudo-rows.

    The bound is maximised over priors by the aggregate posterior (1/N) sum_n q(z | x_n, m_n); the
    VampPrior is its approximation by C learned pseudo-rows r_c = (f_c, v_c, m_c). As the source
    relaxes binary pixels to [0, 1], f_c are numbers in the encoder's standardised feature space
    (one for each level of a categorical column), and visibility v_c and holes m_c numbers in
    (0, 1): v_c = 0.2 lets a cell speak with a fifth of its precision. Pseudo-rows start at
    training rows so faintly visible that the mixture is close to N(0, I).

    *Choose it* where the guide's posteriors, taken together, are far from N(0, I) and the bound
    pays for it: many rows, informative columns. The encoder becomes a part of the model: it is
    trained as both, and a sampled z says what the guide thinks typical rows are. *Costs* the
    encoder on C rows and a matrix product of (K N, L) with (L, C L): a training step took 1.6
    times that of the standard normal (L = 11).

    Args:
        components: C >= 1.

    Raises:
        ValueError: `components` is no whole number >= 1; or, from `forward`, no encoder was
            attached.

    Source: Tomczak & Welling, AISTATS 2018 (arXiv 1705.07120).

    Example:
        >>> from pyro_gnr.data import Column, Kind
        >>> from pyro_gnr.model.features import Features
        >>> columns = [Column(name, Kind.CONTINUOUS, "float64") for name in "ab"]
        >>> prior = VampPrior(components=5)
        >>> prior.build(3)
        >>> prior.attach(Encoder(Features(columns), 2, latent_dim=3))
        >>> prior().event_shape
        torch.Size([3])
    """

    def __init__(self, *, components: int = 20) -> None:
        super().__init__()
        check_count("components", components)
        self.components = components
        self.encoder: Encoder | None = None

    def build(self, latent_dim: int) -> None:
        """Do nothing: pseudo-rows are made once it is known what a row is; see `attach`."""

    def attach(self, encoder: Encoder) -> None:
        """Make pseudo-rows for this encoder, which is shared with the guide."""
        n_features, n_columns = encoder.features.out_dim, encoder.hole_shift.in_features
        self.encoder = encoder
        self.features = nn.Parameter(JITTER * torch.randn(self.components, n_features))
        self.visible = nn.Parameter(torch.zeros(self.components, n_columns))
        self.observed = nn.Parameter(torch.zeros(self.components, n_columns))

    @torch.no_grad()
    def start(self, x: Tensor, observed: Tensor, visible: Tensor) -> None:
        """Start at faint copies of training rows, whose mixture is close to N(0, I)."""
        encoder = self._attached()
        rows = torch.arange(self.components, device=x.device) % len(x)
        self.features.add_(encoder.features(x[rows], visible[rows])[0])
        self.visible.fill_(math.log(faintness(encoder)) / QUICK)
        sure = math.log(NEARLY / (1 - NEARLY)) / QUICK
        self.observed.copy_(torch.where(observed[rows], sure, -sure))

    def forward(self) -> PrecisionMixture:
        """Give the mixture of q(z | r_c), event (L,)."""
        encoder = self._attached()
        v, m = (QUICK * self.visible).sigmoid(), (QUICK * self.observed).sigmoid()
        posteriors = encoder.from_features(self.features, v, m)
        return PrecisionMixture(v.new_zeros(self.components), posteriors)

    def _attached(self) -> Encoder:
        if self.encoder is None:
            raise ValueError(
                "VampPrior is made of the guide's encoder, and none was attached: make model and "
                "guide by `assemble`, or call prior.attach(guide.encoder)."
            )
        return self.encoder


def faintness(encoder: Encoder) -> float:
    """Give the odds of visibility at which a row tells a tenth of what N(0, I) tells about z.

    With s = v lambda, lambda the precision that a direction of z gets from a full row, pseudo-rows
    drawn from the linear model have the total variance 1 - s (1 - v) / (1 + s)^2 in it. More
    visible ones would be narrow, and few narrow components do not cover N(0, I).
    """
    a = encoder.directions
    information = (a * encoder.log_precision.exp().unsqueeze(-1)).T @ a
    largest = torch.linalg.eigvalsh(information)[-1].item()
    share = min(0.5, FAINT / max(largest, 1e-6))
    return share / (1.0 - share)
