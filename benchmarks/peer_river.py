"""The plain script with a learner: as ``peer_paho_influx``, and a river HalfSpaceTrees for each sensor.

Usage: peer_river.py BROKER_PORT STORE_URL. Prints READY, then a line for every reading over the limit.
"""

from river import anomaly, compose, preprocessing

from benchmarks.peer_paho_influx import run

UNUSUAL = 0.95  # score from which a reading counts as unusual


class Learners:
    """One learner for each sensor, as river's documentation sets it up; scores before it learns."""

    def __init__(self) -> None:
        self._of: dict[str, compose.Pipeline] = {}
        self.unusual = 0

    def judge(self, sensor: str, value: float) -> None:
        """Score and learn one reading."""
        learner = self._of.get(sensor)
        if learner is None:
            scaled = preprocessing.MinMaxScaler()
            learner = self._of[sensor] = compose.Pipeline(scaled, anomaly.HalfSpaceTrees(seed=42))
        features = {"value": value}
        self.unusual += learner.score_one(features) >= UNUSUAL
        learner.learn_one(features)


if __name__ == "__main__":
    run(Learners().judge)
