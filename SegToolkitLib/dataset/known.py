"""The two public data sets of the SSL-ALPNet paper, as the authors cut and number them."""

from __future__ import annotations

from SegToolkitLib.dataset.description import DatasetDescription, Licence

# Source of ids, values, borders and groups: the authors' released loaders and scripts.
CHAOST2_IDS = tuple(
    str(one) for one in (1, 2, 3, 5, 8, 10, 13, 15, 19, 20, 21, 22, 31, 32, 33, 34, 36, 37, 38, 39)
)
SABS_IDS = tuple(str(one) for one in range(30))

CHAOST2 = DatasetDescription(
    name="CHAOST2",
    modality="MR",
    labels={"background": 0, "LIVER": 1, "RK": 2, "LK": 3, "SPLEEN": 4},
    fold_borders=[0, 4, 8, 12, 16, 20],
    test_groups={"0": [2, 3], "1": [1, 4]},
    foreground_threshold=50.0001,
    spacing=(1.25, 1.25, 7.70),
    size=(256, 256),
    licence=Licence(
        name="CC BY-NC-SA 4.0",
        url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
        permissive=False,
    ),
    citation=(
        "Kavur et al., CHAOS - Combined (CT-MR) Healthy Abdominal Organ Segmentation Challenge Data,"
        " doi:10.5281/zenodo.3362844; Med. Image Anal. 69 (2021) 101950"
    ),
)

SABS = DatasetDescription(
    name="SABS",
    modality="CT",
    labels={
        "background": 0,
        "SPLEEN": 1,
        "KID_R": 2,
        "KID_l": 3,  # the authors' spelling: class maps made by their code use it as a key
        "GALLBLADDER": 4,
        "ESOPHAGUS": 5,
        "LIVER": 6,
        "STOMACH": 7,
        "AORTA": 8,
        "IVC": 9,
        "PS_VEIN": 10,
        "PANCREAS": 11,
        "AG_R": 12,
        "AG_L": 13,
    },
    fold_borders=[0, 6, 12, 18, 24, 30],
    test_groups={"0": [2, 3], "1": [1, 6]},
    foreground_threshold=1e-4,
    licence=Licence(
        name="Synapse data use terms (registration required)",
        url="https://www.synapse.org/#!Synapse:syn3193805/wiki/217789",
        permissive=False,
    ),
    citation=(
        "Landman et al., MICCAI Multi-Atlas Labeling Beyond the Cranial Vault - Workshop and Challenge, 2015,"
        " doi:10.7303/syn3193805"
    ),
)
