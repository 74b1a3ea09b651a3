"""Self-masking: a cell is missing because of its own value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import Features, Units, curve_masks
from pyro_gnr.model.likelihoods.block import Block, Columnwise
from pyro_gnr.model.mechanisms.base import Collapsible, coins, inverse_rates
from pyro_gnr.model.part import check_numbers
from pyro_gnr.model.tilting import LINKS, OwnTerm, log_chances, log_odds, tilted

__all__ = ["SelfMasking"]

DIRECTIONS = ("high", "low", "off", "free", None)
# Slopes are learnt this many times as fast as other parameters: Adam's steps have one size, and
# a slope travels from 3 to 30.
FASTER = 10.0


class SelfMasking(Collapsible):
    r"""P(m_j = 0 | x_j, u) = F(c_j (x_j - b_j)), F the normal or the logistic CDF.

    (Where the direction is learnt, and for levels, F(c_j x_j - a_j), so that c_j may be 0.)

    x_j is in observed standard deviations from the observed mean (of logarithms for positive
    columns, log-odds for bounded ones, log(1 + x) for counts); for ordered levels it is the number
    of the level, from 0: say "high" of levels only if you know their order. What is missing is
    never sampled: with a probit and a `Gaussian` column it integrates in closed form (given u, m_j
    is a probit and a missing x_j an extended skew normal; likewise log x_j of a `LogNormal` one),
    levels are summed over, all else is integrated along one dimension, however steep the slope.

    *Identified* only by what is assumed: the shape of p(x_j | u), the link, and, most of all, the
    direction. With a normal column and a logit the two signs of c_j differ by no more than a
    constant in their fit, so say the direction where you know it ("people with high incomes do
    not answer"). A flexible p(x_j | u) with a free direction can explain a hole by either tail.
    *Fails* where holes come from something else that x_j merely correlates with, and where the
    observed values end for another reason than the mechanism (a natural bound is read as a
    threshold). No likelihood on observed data tells it from a mechanism without self-masking.
    A direction that is said is believed: where the holes of a skewed column come by chance, "high"
    can still impute half as much again as is true, or more.

    Args:
        direction: "high": the chance to be missing rises with the value; "low": it falls; "free"
            (or None): learnt; "off": it does not depend on the value. One for all columns, or a
            dict by column name, in which columns without a name are "off". Levels without an
            order take "free" or "off": each level has its own chance.
        link: "probit" or "logit". For normal and log-normal columns a fit with "logit" takes two
            to four times as long as with "probit", and `impute` ten to twenty times: only the
            probit has a closed form, the logit is integrated. So are, with either link, columns
            of other numbers (positive with `Gamma`, bounded, counts) and `StudentT`: a fit with
            such columns takes about ten times as long as with `Conjunction`.
        threshold: "constant" b_j; or "latent" b_j(u), self-masking on top of `Conjunction`:
            more flexible, and identified by less.
        slope: |c_j| at the start, > 0, at the last value seen. A gentle one grows where the data
            ask for it; a steep one (10) suits thresholds that are known to be hard, and reads
            any end of the observed values, such as a top code, as one.

    Raises:
        ValueError: an unknown direction, link or threshold, a slope that is not positive, a
            direction for a column that the table does not have or for levels without an order.
        TypeError: the slope is no number.

    Source: Ipsen, Mattei & Frellsen 2021 (arXiv 2006.12871), self-masking with known and unknown
        direction; the closed form is ours (see `ExtendedSkewNormal`).

    Example:
        >>> columns = [Column("income", Kind.CONTINUOUS, "float64", holes=2)]
        >>> mechanism = SelfMasking(direction="high")
        >>> mechanism.build(columns, 4, rates=torch.tensor([0.8]))
        >>> rich = torch.tensor([[5.0]])
        >>> bool(mechanism(torch.zeros(1, 4), rich).log_prob(torch.zeros(1, 1)).exp() > 0.9)
        True
    """

    assumption = "a cell is missing because of its own value"
    sign: Tensor
    free: Tensor
    plain: Tensor
    has_holes: Tensor
    unordered: Tensor
    centre: Tensor
    spread: Tensor
    curves: Tensor

    def __init__(
        self,
        *,
        direction: str | Mapping[str, str | None] | None = None,
        link: str = "probit",
        threshold: str = "constant",
        slope: float = 1.0,
    ) -> None:
        super().__init__()
        given = direction.values() if isinstance(direction, Mapping) else [direction]
        for one in given:
            if one not in DIRECTIONS:
                raise ValueError(f"got direction={one!r}, expected one of {list(DIRECTIONS)}.")
        if link not in LINKS:
            raise ValueError(f"got link={link!r}, expected one of {sorted(LINKS)}.")
        if threshold not in ("constant", "latent"):
            raise ValueError(f"got threshold={threshold!r}, expected 'constant' or 'latent'.")
        check_numbers(slope=slope)
        if not 0.0 < slope < math.inf:
            raise ValueError(f"got slope={slope!r}, expected a positive number.")
        if isinstance(direction, Mapping):  # in the word that TOML has, too
            direction = {name: d or "free" for name, d in direction.items()}
        self.direction = direction
        self.link = link
        self.threshold = threshold
        self.slope = slope

    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make slopes, thresholds and the levels' effects."""
        directions = self._directions(columns)
        unordered = torch.tensor([c.kind is Kind.CATEGORICAL for c in columns])
        off = torch.tensor([d == "off" for d in directions])
        self.kinds = tuple(c.kind for c in columns)
        self.register_buffer("curves", curve_masks(self.kinds), persistent=False)
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("spread", torch.ones(len(columns)))
        self.register_buffer("has_holes", rates < 1.0)
        self.register_buffer("unordered", unordered & ~off)
        self.register_buffer("free", torch.tensor([d is None for d in directions]) & ~unordered)
        # Where a slope may pass through 0, or a threshold has no place among the values, eta is
        # c x - a and not c (x - b).
        levels = torch.tensor([c.levels is not None for c in columns])
        self.register_buffer("plain", (self.free | levels) & ~self.unordered & ~off)
        sign = [{"high": 1.0, "low": -1.0}.get(d or "", 0.0) for d in directions]
        self.register_buffer("sign", torch.tensor(sign))
        counts = [len(c.levels or ()) for c in columns]
        most = max((n for n, own in zip(counts, self.unordered, strict=True) if own), default=0)
        raw = self.slope + math.log(-math.expm1(-self.slope))
        self.raw_slope = nn.Parameter(torch.full((len(columns),), raw / FASTER))
        self.free_slope = nn.Parameter(torch.zeros(len(columns)))
        self.effects = nn.Parameter(torch.zeros(len(columns), most)) if most else None
        self.base = nn.Parameter(torch.zeros(len(columns)))
        self.head = nn.Linear(u_dim, len(columns), bias=False) if self._latent else None
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        with torch.no_grad():  # where a column has no slope, the base is all there is
            start = inverse_rates(1 - rates, self.link)
            middle = torch.tensor([(max(n, 1) - 1) / 2 for n in counts])
            at_mean = self.sign * self.slope * middle - start  # the rate, in the middle level
            flat = torch.where(self.sign == 0, -start, 0.0)
            self.base.copy_(torch.where(self.plain, at_mean / FASTER, flat))

    @property
    def _latent(self) -> bool:
        return self.threshold == "latent"

    def _directions(self, columns: Sequence[Column]) -> list[str | None]:
        names = [c.name for c in columns]
        given = self.direction
        if isinstance(given, dict):
            unknown = sorted(set(given) - set(names))
            if unknown:
                raise ValueError(
                    f"SelfMasking's direction names {unknown}, expected modelled columns "
                    f"({names})."
                )
            found = [given.get(name, "off") for name in names]
        else:
            found = [given] * len(names)
        found = [None if d == "free" else d for d in found]
        for i, column in enumerate(columns):
            if column.kind is Kind.CATEGORICAL and found[i] in ("high", "low"):
                if isinstance(given, dict):
                    raise ValueError(
                        f"column {column.name!r} has levels without an order, so that none is "
                        f"{found[i]!r}: give 'free' (a chance for each level) or 'off'."
                    )
                found[i] = None
        return found

    def slopes(self) -> Tensor:
        """Give c_j, (D,); 0 where the chance does not depend on the value."""
        known = self.sign * softplus(FASTER * self.raw_slope)
        return torch.where(self.free, FASTER * self.free_slope, known)

    @property
    def first_slope(self) -> float:
        """The caller's `slope`."""
        return self.slope

    def signs(self) -> Tensor:
        """Give the direction of each column, (D,): 1 high, -1 low, 0 off, NaN if it is learnt."""
        return torch.where(self.free, torch.nan, self.sign)

    @property
    def scale(self) -> Units:
        """The scale on which slopes and thresholds count."""
        return Units(self.kinds, self.curves, self.centre, self.spread)

    @torch.no_grad()
    def calibrate(self, features: Features) -> None:
        """Learn the scale of columns that do not come standardised."""
        place = torch.arange(len(self.kinds), device=features.column.device)
        first = torch.searchsorted(features.column, place)
        mean, scale = features.mean[first], features.scale[first]
        mine = self.curves.any(0)
        self.centre.copy_(torch.where(mine, mean, self.centre))
        self.spread.copy_(torch.where(mine, scale, self.spread))

    @torch.no_grad()
    def start_own(self, columns: Tensor, *, slope: Tensor, threshold: Tensor) -> None:
        """Start some columns, see `Mechanism`."""
        centre, spread = self.centre[columns], self.spread[columns]
        slope, threshold = slope * spread, (threshold - centre) / spread
        excess = slope.abs().clamp(min=1e-3)
        self.raw_slope[columns] = (excess + torch.log(-torch.expm1(-excess))) / FASTER
        self.free_slope[columns] = slope / FASTER
        plain = self.plain[columns]
        self.base[columns] = torch.where(plain, slope * threshold / FASTER, threshold)

    def _term(self, u: Tensor) -> OwnTerm:
        """Give c (x - b), with an offset (D,) that is one for all rows where it can be.

        Effects of levels have no slope, and no threshold is scaled for them.
        """
        c = torch.where(self.has_holes, self.slopes(), 0.0)
        b, shift = self.base, 0.0 if self.head is None else self.head(u)
        unit = torch.where(self.sign != 0, c, 1.0)
        offset = torch.where(self.plain, FASTER * b + shift, unit * (b + shift))
        offset = torch.where(self.has_holes, offset, 0.0)
        natural = self.scale if self.scale.curved else None
        if self.effects is None:
            return OwnTerm(c, offset, natural=natural)
        counts = (self.unordered & self.has_holes)[:, None]
        effects = torch.where(counts, self.effects, 0.0)
        return OwnTerm(c, offset, effects, natural=natural)

    def forward(self, u: Tensor, x: Tensor | None) -> TorchDistribution:
        """Give independent Bernoullis, event (D,), for a complete x."""
        assert x is not None
        log_chance = log_odds(-self._term(u)(x), self.link)
        return coins(log_chance.expand(*u.shape[:-1], -1), self.has_holes)

    def collapsed(
        self, u: Tensor, x: Tensor, *, visible: Tensor, columns: Columnwise
    ) -> TorchDistribution:
        """Give independent Bernoullis, event (D,), each missing x_j integrated out."""
        term = self._term(u)
        known = log_odds(-term(torch.where(visible, x, 0.0)), self.link)
        unknown = columns.side_by_side(
            [self._log_odds(block, term.of(block.columns)) for block in columns.blocks]
        )
        return coins(torch.where(visible, known, unknown), self.has_holes)

    def _log_odds(self, block: Block, term: OwnTerm) -> Tensor:
        missing, observed = log_chances(block.distribution, term, self.link)
        return observed - missing

    def given_holes(self, u: Tensor, columns: Columnwise, *, observed: Tensor) -> Columnwise:
        """Give p(x_j | u, m_j): the values that the mechanism would hide (or show)."""
        term = self._term(u)._replace(sign=torch.where(observed, -1.0, 1.0).to(u))
        blocks = []
        for block in columns.blocks:
            given = tilted(block.distribution, term.of(block.columns), self.link)
            blocks.append(Block(given, block.columns))
        return Columnwise(blocks, columns.order)
