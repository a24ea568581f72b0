"""The stock KServe transformer: the SDK's own way to its predictor, nothing added.

python kserve_transformer.py --predictor_host HOST:PORT --predictor_protocol v1 --model_name noop
"""

import argparse
import logging

from kserve import Model, ModelServer, model_server

if __name__ == "__main__":
    logging.disable(logging.INFO)
    given, _ = argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    transformer = Model(given.model_name)
    transformer.ready = True
    ModelServer(enable_latency_logging=False).start([transformer])
