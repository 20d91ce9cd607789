"""How precise pass@k is, given the numbers of problems and answers, and how many an interval of a given width needs.

A 95 % interval is about these problems asked again, where only the answers vary, or about other problems like these,
where the problems vary too. With more answers per problem the first shrinks towards zero, the second to a limit.
"""

from dataclasses import dataclass

import numpy as np

from hindsight.pass_at_k.estimators import pass_at_ks
from hindsight.pass_at_k.extrapolation import FittedDistribution
from hindsight.pass_at_k.mixing_distributions import chances_of_count, chances_of_success

QUANTILE = 1.96  # of the normal distribution, for 95 %
MOST = 2000  # answers per problem


@dataclass(frozen=True, eq=False)
class Precision:
    """The precision of the unbiased pass@k, for problems whose success chances follow a fitted distribution."""

    fitted: FittedDistribution
    k: int

    def variance_of_answers(self, answers: int) -> float:
        """The part of a problem's variance that comes from sampling at least k answers, averaged over problems."""
        correct, grid = np.arange(answers + 1), self.fitted.counts.grid
        estimates = pass_at_ks(np.full(answers + 1, answers), correct, [self.k])[:, 0]
        squares = chances_of_count(answers, correct[None], grid[:, None]) @ estimates**2
        return float(self.fitted.weights @ (squares - chances_of_success(grid, self.k) ** 2))

    @property
    def variance_of_problems(self) -> float:
        """The variance of pass@k over problems."""
        solved = chances_of_success(self.fitted.counts.grid, self.k)
        return float(self.fitted.weights @ solved**2 - (self.fitted.weights @ solved) ** 2)

    def half_width(self, problems: int, answers: int, same_problems: bool) -> float:
        """Half the width of the 95 % interval."""
        variance = self.variance_of_answers(answers) + (0 if same_problems else self.variance_of_problems)
        return QUANTILE * (max(0.0, variance) / problems) ** 0.5  # rounding can make a variance of 0 negative

    def answers_needed(self, problems: int, half_width: float, same_problems: bool) -> int | None:
        """The fewest answers per problem for this half width; None if even MOST are too few."""
        few, many = self.k - 1, MOST
        if self.half_width(problems, many, same_problems) > half_width:
            return None
        while many - few > 1:
            middle = (few + many) // 2
            if self.half_width(problems, middle, same_problems) <= half_width:
                many = middle
            else:
                few = middle
        return many

    def problems_needed(self, answers: int, half_width: float) -> int:
        """The fewest problems, with this many answers each, for this half width about other problems."""
        return int(np.ceil((self.half_width(1, answers, False) / half_width) ** 2))
