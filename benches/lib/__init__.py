"""What benches/run and benches/costs are made of."""
