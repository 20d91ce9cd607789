"""Maximises a concave function of a distribution's weights with a barrier method.

Boyd and Vandenberghe 2004, "Convex Optimization", sections 10.2 (Newton's method with a linear constraint) and 11.3.
The weights are above zero by a barrier, the sum of their logarithms, and sum to 1.
"""

from dataclasses import dataclass

import numpy as np

EXACT = 2e-4  # of the maximum, in its own unit
GROWTH = (
    4.0  # of the sharpness from one problem to the next; with 10, Newton's method stops too early, at the constraint
)
CENTERED = 1e-3  # Newton's decrement at which a problem counts as solved
STEPS = 500  # the most of Newton's steps, which converge in 5 to 50


@dataclass(frozen=True)
class Likeliest:
    """The log likelihood of counts; problems: of each cell, [cells]; chances: of each cell's count, [cells, grid].

    value: the function at weights, [grid], under which the cells have the chances `mixed`, [cells], times `sharpness`.
    slopes: its gradient, [grid], and rows R, [any, grid], of which R'R is minus its second derivative.
    """

    chances: np.ndarray
    problems: np.ndarray

    def value(self, weights: np.ndarray, mixed: np.ndarray, sharpness: float) -> float:
        return sharpness * float(self.problems @ np.log(mixed))

    def slopes(self, mixed: np.ndarray, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
        relative = self.chances / mixed[:, None]
        return sharpness * (self.problems @ relative), (sharpness * self.problems)[:, None] ** 0.5 * relative


@dataclass(frozen=True)
class Constrained:
    """`target` @ weights, where the log likelihood is at least `least`, which has a barrier; target: [grid].

    value and slopes: as those of Likeliest, barrier included.
    """

    chances: np.ndarray
    problems: np.ndarray
    target: np.ndarray
    least: float

    def value(self, weights: np.ndarray, mixed: np.ndarray, sharpness: float) -> float:
        spare = float(self.problems @ np.log(mixed)) - self.least
        return sharpness * float(self.target @ weights) + np.log(spare) if spare > 0 else -np.inf

    def slopes(self, mixed: np.ndarray, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
        spare = float(self.problems @ np.log(mixed)) - self.least
        relative = self.chances / mixed[:, None]
        slope = self.problems @ relative / spare
        rows = (self.problems / spare)[:, None] ** 0.5 * relative
        return sharpness * self.target + slope, np.concatenate([rows, slope[None]])


Goal = Likeliest | Constrained


def follow_path(weights: np.ndarray, goal: Goal, sharpness: float) -> np.ndarray:
    """The weights, [grid], at which a goal is within EXACT of its maximum, from weights where its value is finite.

    Raises ArithmeticError if Newton's method does not converge.
    """
    while True:
        weights = _center(weights, goal, sharpness)
        if (len(weights) + 1) / sharpness < EXACT:
            return weights
        sharpness *= GROWTH


def _center(weights: np.ndarray, goal: Goal, sharpness: float) -> np.ndarray:
    """The weights that maximise the goal with the barrier: Newton's method with a line search that halves its step."""

    def value(weights: np.ndarray) -> float:
        return goal.value(weights, goal.chances @ weights, sharpness) + float(np.log(weights).sum())

    now = value(weights)
    for _ in range(STEPS):
        gradient, rows = goal.slopes(goal.chances @ weights, sharpness)
        step, decrement = _newton_step(weights, gradient + 1 / weights, rows)
        if decrement < CENTERED:
            return weights
        length = min(1.0, 0.99 / float((-step / weights).max()))
        while (new := value(weights + length * step)) < now + 0.1 * length * decrement:
            length /= 2
            if length < 1e-9:  # of a step whose gain is lost in rounding
                return weights
        weights, now = weights + length * step, new
    raise ArithmeticError(f"Newton's method did not converge in {STEPS} steps")


def _newton_step(weights: np.ndarray, gradient: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """The step, whose sum is 0, for minus second derivative diag(1 / weights^2) + rows' rows, and the decrement.

    In units of the weights the first part is the identity, so few rows need a small inverse (Woodbury).
    """
    scaled = rows * weights
    sides = np.stack([weights * gradient, weights], axis=1)
    inner = np.eye(len(rows)) + scaled @ scaled.T
    free, level = (sides - scaled.T @ np.linalg.solve(inner, scaled @ sides)).T
    step = free - level * (weights @ free) / (weights @ level)
    return weights * step, float(sides[:, 0] @ step)
