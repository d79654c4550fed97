"""As `test_pages`, for the other pages: a file runs in one process, and takes half an hour."""

import pytest

from .test_pages import HERE, RUN, check_page, supply  # noqa: F401, the fixture


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in RUN if not page.startswith(HERE)])
def test_page_runs(page, tmp_path, supply):  # noqa: F811
    check_page(page, tmp_path, supply)
