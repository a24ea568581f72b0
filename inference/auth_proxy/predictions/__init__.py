"""The /predict routes and the calls behind them."""
