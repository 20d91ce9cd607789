"""Work on many files in several processes."""

import pytest

from hindsight.errors import UserError
from hindsight.files.worker_processes import in_processes


def test_results_come_in_order_from_one_process_or_from_several():
    for workers in (1, 2):
        assert list(in_processes(sum, [[1, 2], [3], []], workers)) == [3, 3, 0]


def test_a_number_of_workers_below_one_is_refused():
    with pytest.raises(UserError, match="WORKERS is at least 1, or 0 for one per core, not -1"):
        list(in_processes(sum, [[1]], -1))
