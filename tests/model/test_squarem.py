import torch

from pyro_gnr.model.squarem import squarem

CENTRE = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
RATES = torch.tensor([0.99, 0.9, 0.5], dtype=torch.float64)


class Slow:
    """A linear fixed-point map, the objective it climbs, and where it was called."""

    def __init__(self, centre=CENTRE, rates=RATES):
        self.centre, self.rates, self.seen = centre, rates, []

    def __call__(self, at):
        self.seen.append(at)
        return self.centre + self.rates * (at - self.centre), self.value(at)

    def value(self, at):
        return -(at - self.centre).square().sum().item()


def search(step, **options):
    options = {"cycles": 30, "tolerance": 0.0, **options}
    return squarem(step, torch.zeros(3, dtype=torch.float64), **options)


def test_leaps_reach_a_fixed_point_that_plain_steps_are_far_from():
    step = Slow()
    found = search(step)
    torch.testing.assert_close(found, CENTRE, atol=1e-4, rtol=0)
    plain = torch.zeros(3, dtype=torch.float64)
    for _ in step.seen:
        plain, _ = Slow()(plain)
    assert (plain - CENTRE).abs().max() > 0.3


def test_objective_never_falls_from_cycle_to_cycle():
    path = [Slow().value(search(Slow(), cycles=c)) for c in range(1, 12)]
    assert all(b >= a for a, b in zip(path, path[1:], strict=False))


def test_it_ends_when_a_cycle_gains_too_little():
    step = Slow()
    search(step, cycles=10_000, tolerance=1e-3)
    assert len(step.seen) < 60


def test_a_leap_that_falls_is_not_taken():
    """Objective and map disagree off the path of plain steps, which it then stays on."""

    class Cliff(Slow):
        def value(self, at):
            plain = [CENTRE - RATES**k * CENTRE for k in range(60)]
            near = min((at - p).abs().max().item() for p in plain)
            return -1e9 if near > 1e-9 else super().value(at)

    step = Cliff()
    found = search(step, cycles=5)
    assert step.value(found) > step.value(torch.zeros(3, dtype=torch.float64))
    assert min(step.value(at) for at in step.seen) == -1e9  # it did leap


def test_a_leap_to_where_no_step_can_be_taken_is_not_taken():
    class Edge(Slow):
        def __call__(self, at):
            if len(self.seen) % 3 == 2:  # the third of a cycle is the leap's
                self.seen.append(at)
                raise torch.linalg.LinAlgError("singular")
            return super().__call__(at)

    torch.testing.assert_close(search(Edge(), cycles=5), CENTRE - RATES**10 * CENTRE)


def test_leaps_may_end_at_numbers_that_are_not_finite():
    class Hole(Slow):
        def value(self, at):
            return float("nan") if len(self.seen) % 3 == 0 else super().value(at)

    torch.testing.assert_close(search(Hole(), cycles=5), CENTRE - RATES**10 * CENTRE)
