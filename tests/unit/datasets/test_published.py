"""Our model compared with a published one: the same images, no others, and truths that are known."""

import csv

from datasets.training.published import compare


def test_both_are_judged_on_the_images_that_both_speak_of_and_whose_truth_is_known(tmp_path):
    ours = [
        {"study_id": f"{index:08}_000.png", "prob_effusion": ours, "truth_effusion": truth}
        for index, (ours, truth) in enumerate(
            [(0.9, "1"), (0.8, "1"), (0.2, "0"), (0.85, "0"), (0.5, ""), (0.1, "1")]  # unknown, then one only of ours
        )
    ]
    published = [
        {"Image Index": row["study_id"], **dict.fromkeys(LABELS, 0.1), "prob_Effusion": probability}
        for row, probability in zip(ours, (0.9, 0.2, 0.3, 0.1, 0.99), strict=False)
    ]
    lines = list(compare(_table(tmp_path / "ours.csv", ours), _table(tmp_path / "published.csv", published)))
    assert len(lines) == 1
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert cells[:3] == ["effusion", "4", "2"]
    assert [cell.split()[0] for cell in cells[3:]] == ["0.750", "0.750", "0.000"]


LABELS = tuple(
    f"prob_{label}"
    for label in (
        *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
        *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
    )
)


def _table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path
