"""A run's score as one page with pictures: no file beside it, nothing asked of any network, no script."""

from gridwhistle.score.page.frame import score_page, write_page

__all__ = ["score_page", "write_page"]
