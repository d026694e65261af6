"""Choosing a model, its card, its terms, and adding one."""

from __future__ import annotations

import shutil

import pytest
from autosegment_panel import BANDS


def shown(panel):
    """Titles of the models that the search leaves."""
    rows = range(panel.modelList.count())
    return [panel.modelList.item(row).text() for row in rows if not panel.modelList.isRowHidden(row)]


@pytest.mark.parametrize(
    ("words", "kept", "hidden"),
    [
        ("mr", "Abdomen, MR", "Abdomen, CT"),
        ("ABDOMEN ct", "Abdomen, CT", "Abdomen, MR"),
        ("gallbladder abdomen", "Abdomen, MR", "Plain"),
        ("", "Plain", ""),
    ],
)
def test_search_leaves_models_with_all_words(panel, words, kept, hidden):
    panel.modelSearch.setText(words)
    assert kept in shown(panel)
    assert hidden not in shown(panel)


@pytest.fixture
def twins(panel):
    """The panel with two models of one title in the list, and one of the person's own; names of the three."""
    models = panel.session.models
    first = next(one for one in models if one["name"] == "abdomen")
    twin = {**first, "name": "abdomen-later"}
    own = {**first, "name": "own-run-3", "title": "Mine alone", "origin": "user"}
    panel.session.models = [*models, twin, own]
    panel.settle()
    yield first["name"], twin["name"], own["name"]
    panel.session.models = models
    panel.settle()


def test_models_of_one_title_are_told_apart_by_their_names(panel, twins):
    listed = shown(panel)
    for text in ("Abdomen, CT (abdomen)", "Abdomen, CT (abdomen-later)", "Abdomen, MR"):
        assert text in listed
    assert "Abdomen, CT" not in listed


def test_own_models_are_listed_with_their_names(panel, twins):
    assert "Mine alone (own-run-3)" in shown(panel)


def test_a_model_is_found_by_its_name(panel, twins):
    panel.modelSearch.setText("abdomen-later")
    assert shown(panel) == ["Abdomen, CT (abdomen-later)"]


def test_heading_and_card_tell_which_of_the_alike_is_chosen(panel, twins):
    panel.chooseModel("abdomen-later")
    assert panel.modelSection.text() == "2. Model: Abdomen, CT (abdomen-later)"
    assert "abdomen-later" in panel.modelCard.toPlainText()


def test_a_long_title_gives_way_to_the_name_in_the_heading(panel, twins):
    long = {
        **panel.session.model("own-run-3"),
        "title": "Collection of the clinic: 13 structures in CT, " * 3,
    }
    panel.session.models = [*panel.session.models[:-1], long]
    panel.settle()
    panel.chooseModel("own-run-3")
    heading = panel.modelSection.text()
    assert heading.startswith("2. Model: Collection of the clinic: 13")
    assert heading.endswith("... (own-run-3)")
    assert len(heading) <= 70
    assert f"{long['title']} (own-run-3)" in shown(panel)


def test_nothing_found_leaves_nothing(panel):
    panel.modelSearch.setText("no such organ")
    assert shown(panel) == []


def test_few_shot_models_are_not_offered(panel):
    methods = {one["name"]: one["method"] for one in panel.session.models}
    assert "alpnet" in methods.values()
    assert "alpnet" not in {methods[one["name"]] for one in panel.session.listedModels()}


def test_the_card_tells_what_counts(panel):
    panel.chooseModel("abdomen-mr")
    card = panel.modelCard.toPlainText()
    for text in ("liver, spleen, gallbladder", "MR", "the volume's own voxels", "terms of the test"):
        assert text in card
    assert "Abdomen, MR" in panel.modelSection.text()
    assert "Trained on" not in card
    panel.modelCard.collapsed = False
    assert "Trained on: nothing" in panel.modelCard.toPlainText()


def test_what_a_model_lacks_is_not_offered(panel):
    panel.chooseModel("plain")
    assert not panel.modeCombo.isEnabled()
    assert panel.mapsFrame.isHidden()
    panel.chooseModel("abdomen")
    for widget in (panel.modeCombo, panel.mapCheck()):
        assert widget.isEnabled()


def test_a_choice_that_a_model_lacks_is_not_asked_for(panel, volume):
    panel.mapCheck().click()
    panel.modeCombo.setCurrentIndex(1)
    panel.settle()
    panel.chooseModel("plain")
    run = panel.apply()
    assert run.state.value == "done", panel.told()
    assert run.results[0].mapIds == {}
    panel.chooseModel("abdomen")
    assert panel.mapCheck().isChecked()


def test_the_model_used_last_is_chosen_in_a_new_scene(panel):
    panel.chooseModel("plain")
    panel.application.closeScene()
    panel.settle()
    assert panel.panel.modelName() == "plain"


def answers(accepted):
    """Presses OK or Cancel in the question for the terms, and keeps what it says."""
    from PySide6.QtWidgets import QMessageBox

    asked = []

    def press(box, _member, _arguments):
        asked.append(box.text)
        button = QMessageBox.StandardButton.Ok if accepted else QMessageBox.StandardButton.Cancel
        return button.value

    return asked, press


def test_terms_are_asked_for_once(panel, makeCt):
    from host import modal

    panel.choose(makeCt(), "with-terms")
    window = panel.widget.uiWidget
    assert panel.acceptButton.isVisibleTo(window)
    asked, refuse = answers(False)
    with modal.answering(refuse):
        panel.applyButton.click()
    assert not panel.runner.busy
    panel.settle()
    assert "terms were not accepted" in panel.resultLabel.text()
    asked, accept = answers(True)
    with modal.answering(accept):
        panel.acceptButton.click()
        panel.wait(lambda: not panel.acceptButton.isVisibleTo(window), what="the terms")
        assert panel.apply().state.value == "done"
    assert len(asked) == 1
    assert "(accepted)" in panel.modelCard.toPlainText()


def test_a_model_folder_is_added_and_chosen(panel, tmp_path):
    from brightness.models import make_model

    from host import modal

    folder = make_model(tmp_path / "é ü", "mine", bands=BANDS, title="Mine")
    with modal.answering(lambda *_: str(folder)):
        panel.panel.model.onAddFolder()
    panel.wait(lambda: panel.panel.modelName() == "mine", what="the new model")
    panel.settle()
    assert "Added the model" in panel.resultLabel.text()
    shutil.rmtree(panel.session.model("mine")["folder"])
    answered = []
    panel.session.askModels(lambda *_: answered.append(1))
    panel.wait(lambda: answered, what="the models")


def test_what_is_no_model_is_refused_in_a_sentence(panel, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    panel.panel.model.add(str(tmp_path / "notes.txt"))
    panel.wait(lambda: "neither a model's folder" in panel.resultLabel.text(), what="the refusal")


def test_a_damaged_model_is_shown_with_its_reason(panel, tmp_path):
    models = [*panel.session.models]
    broken = {**models[0], "name": "broken", "title": "Broken", "usable": False, "problem": "It is damaged."}
    panel.session.models = [*models, {**broken, "automatic": True}]
    panel.settle()
    assert "Broken (cannot be used)" in shown(panel)
    before = panel.panel.modelName()
    panel.chooseModel("broken")
    assert "It is damaged." in panel.resultLabel.text()
    assert panel.panel.modelName() == before
    panel.session.models = models


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        (["fine.pth"], {"automatic": True, "options": {}}),
        (["fine.pth", "coarse.pth"], {"automatic": True, "options": {"coarse": "coarse.pth"}}),
        (["model.zip"], {}),
    ],
)
def test_checkpoints_of_one_or_two_stages_are_taken(panel, monkeypatch, files, asked):
    from host import modal

    bodies = []
    monkeypatch.setattr(panel.session, "addModel", lambda body, onFinished: bodies.append(body))
    with modal.answering(lambda _class, member, _arguments: files if member.endswith("Names") else files[0]):
        (panel.panel.model.onAddZip if files[0].endswith("zip") else panel.panel.model.onAddCheckpoint)()
    assert bodies == [{"path": files[0], "replace": False, **asked}]


def test_three_checkpoints_are_too_many(panel):
    from SegToolkitGui.Errors import UserError

    with pytest.raises(UserError, match="at most two stages"):
        panel.panel.model.add("a.pth", "b.pth", "c.pth")


def test_a_checkpoint_of_something_else_is_refused(panel, tmp_path):
    import torch

    torch.save({"weight": torch.zeros(3)}, tmp_path / "strange.pth")
    panel.panel.model.add(str(tmp_path / "strange.pth"))
    panel.wait(lambda: panel.resultLabel.text(), what="the refusal")
    panel.settle()
    assert "#c0392b" in panel.resultLabel.styleSheet()
    assert "failed unexpectedly" not in panel.resultLabel.text()
