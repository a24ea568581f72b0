"""Simulation: replays unseen products against a gateway or a release and corrects predictions."""
