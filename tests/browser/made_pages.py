"""Pages made the way a user makes them: the audit by its command, the report of explanations by its maker."""

import csv
import json
import subprocess
import sys

import numpy as np

from api.pages.explanations import report_page
from explain.gate.document import Comparison, GateCurves, GateTest
from explain.gate.result import GateResult
from pipeline.registration.explain_report import Pictured
from tests.e2e.house import environment


def audit_page(folder):
    """`candor audit` on 1,500 made-up images: a model that misses more in AP, and few patients past 80."""
    chance = np.random.default_rng(11)
    predictions = folder / "predictions.csv"
    with predictions.open("w", newline="") as file:
        rows = csv.writer(file)
        columns = [f"{kind}_{finding}" for finding in ("edema", "<b>&mass") for kind in ("prob", "truth")]
        rows.writerow(["study_id", "patient_id", "sex", "age", "view", *columns])
        for study in range(1500):
            view, age = chance.choice(["AP", "PA"]), int(chance.integers(1, 84))
            row = [f"s{study}", f"p{study * 2 // 3}", chance.choice(["F", "M", ""], p=[0.48, 0.48, 0.04]), age, view]
            for _ in range(2):
                truth = int(chance.random() < 0.25)
                score = chance.normal() + truth * (2.6 if view == "PA" else 1.0) - 1.5
                row += [f"{1 / (1 + np.exp(-score)):.6f}", truth if chance.random() > 0.05 else ""]
            rows.writerow(row)
    command = ["audit", "--predictions", predictions.name, "--by", "sex,age_band,view", "--out", "audit"]
    done = subprocess.run(
        [sys.executable, "-m", "api", *command],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "audit" / "audit.html"


def explanation_page(folder):
    """The report of a gate that one test failed, with curves, methods side by side, and pictures of a grey square."""
    shares = [0.0, 0.25, 0.5, 1.0]
    curves = {
        "randomisation": {"shares": shares[1:], "ssim": [0.3, 0.2, 0.1], "random_pairs": 0.4},
        "faithfulness": {
            name: {"shares": shares, "deletion": [0.9, 0.4 * k, 0.3, 0.1], "insertion": [0.1, 0.3, 0.5, 0.9]}
            for k, name in enumerate(("map", "random map", "centred Gaussian"))
        },
    }
    methods = [
        {"method": name, "parameters": {"window": 32}, "forward_passes": passes, "gain_per_pass": 0.1 / passes,
         "chance": {"pointing": 0.1, "auprc": 0.1, "iou": 0.05},
         "pointing": [0.5, 0.4, 0.6], "auprc": [0.3, 0.2, 0.4], "iou": [0.2, 0.1, 0.3]}
        for name, passes in (("class_activation", 1), ("grad_cam", 2))
    ]  # fmt: skip
    comparison = {"finding": "lung_opacity", "images": 4, "patients": 3, "methods": methods,
                  "published_pneumonia_auprc": [0.16, 0.519], "most_per_pass": "class_activation"}  # fmt: skip
    result = GateResult(
        model="made_up", version="1", sha256="0f" * 32, method="class_activation", images="4 drawn images",
        weaker="drawn images prove less",
        tests=tuple(GateTest(name=name, passed=passed, words="what was found") for name, passed in
                    (("stability", True), ("faithfulness", False), ("localisation", None))),
        curves=GateCurves.model_validate_json(json.dumps(curves)),
        comparison=Comparison.model_validate_json(json.dumps(comparison)),
    )  # fmt: skip
    square, mask = np.full((64, 64), 0.4, np.float32), np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    pictures = [
        Pictured(finding=finding, kind=kind, probability=0.7, square=square, mask=mask, boxes=~mask)
        for finding in ("lung_opacity", "edema") for kind in ("true positive", "false positive")
    ]  # fmt: skip
    path = folder / "report.html"
    path.write_text(report_page(result, pictures), encoding="utf-8")
    return path
