"""From verdicts to one case with one responsible person, followed until it is over."""
