"""A made-up city of any size on a street plan: ``make_world``, ``write_world`` and ``load_world``."""

from sensors_sim.city_maker.make import FEWEST, MOST, load_world, make_world, write_world

__all__ = ["FEWEST", "MOST", "load_world", "make_world", "write_world"]
