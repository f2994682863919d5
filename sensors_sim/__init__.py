"""A made-up city with physics, people, faults and ground truth; and recordings replayed as if they were live."""
