"""A pipeline of two steps, of which the second can fail in a chosen way."""

from kfp import dsl

IMAGE = "product-classifier/trainer:dev"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def give(times: int, share: float, label: str, model: dsl.Output[dsl.Model]) -> str:
    from pathlib import Path

    print(f"giving {label}")  # noqa: T201 - what a step says
    Path(model.path).mkdir()
    Path(model.path, "model.json").write_text(label * times)
    model.metadata.update({"share": share, "kind": type(times).__name__})
    return label * times


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def take(model: dsl.Input[dsl.Model], given: str, fail: str) -> str:
    import os
    import signal
    import subprocess
    import time
    from pathlib import Path

    from product_classifier.errors import CatalogueError

    with Path(model.path, "attempts").open("a") as attempts:
        attempts.write("x")
    if fail == "refused":
        raise CatalogueError("12 of 20 rows were rejected")
    if fail == "silent":
        raise SystemExit(3)
    if fail == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fail == "orphaned":
        os.kill(os.getppid(), signal.SIGKILL)
    if fail == "lingering":
        lasting = subprocess.Popen(["sleep", "60"])
        Path(model.path, "lingering").write_text(str(lasting.pid))
    if fail == "hang":
        Path(model.path, "hanging").write_text(str(os.getpid()))
        time.sleep(60)
    if fail == "chained":
        try:
            raise KeyError("inner")  # noqa: TRY301 - a chain is wanted
        except KeyError as error:
            raise ValueError("outer\nsecond line") from error
    return f"{given} {model.metadata['share']} {model.metadata['kind']}"


@dsl.pipeline(name="small")
def small(label: str, times: int = 2, share: float = 0.5, fail: str = "") -> str:
    given = give(times=times, share=share, label=label).set_cpu_limit("1")
    taken = take(model=given.outputs["model"], given=given.outputs["Output"], fail=fail)
    taken.set_retry(2, backoff_duration="60s")
    return taken.output
