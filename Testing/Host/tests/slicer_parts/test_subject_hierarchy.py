"""Items of the subject hierarchy follow the nodes; terminologies are loaded."""

import slicer
import vtk
from volumes import addSegmentation, addVolume


def hierarchy():
    return slicer.mrmlScene.GetSubjectHierarchyNode()


def test_a_data_node_gets_an_item_and_takes_it_along(application):
    volume = addVolume()
    item = hierarchy().GetItemByDataNode(volume)
    assert hierarchy().GetItemName(item) == "CT"
    assert hierarchy().GetItemOwnerPluginName(item) == "Volumes"
    slicer.mrmlScene.RemoveNode(volume)
    assert slicer.util.getSubjectHierarchyItemChildren(recursive=True) == []


def test_hidden_and_excluded_nodes_get_no_item(application):
    hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    hidden.UnRegister(None)
    hidden.SetHideFromEditors(1)
    assert hierarchy().GetItemByDataNode(slicer.mrmlScene.AddNode(hidden)) == 0
    excluded = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
    excluded.UnRegister(None)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    excluded.SetAttribute(name, "1")
    assert hierarchy().GetItemByDataNode(slicer.mrmlScene.AddNode(excluded)) == 0


def test_segments_are_items_below_their_segmentation(application):
    segmentation = addSegmentation(addVolume())
    parent = hierarchy().GetItemByDataNode(segmentation)

    def names():
        return [hierarchy().GetItemName(i) for i in slicer.util.getSubjectHierarchyItemChildren(parent)]

    assert names() == ["Liver"]
    segmentation.GetSegmentation().GetSegment("liver").SetName("Hepar")
    assert names() == ["Hepar"]
    segmentation.GetSegmentation().AddEmptySegment("spleen", "Spleen")
    segmentation.GetSegmentation().RemoveSegment("liver")
    assert names() == ["Spleen"]
    slicer.mrmlScene.RemoveNode(segmentation)
    assert hierarchy().GetNumberOfItems() == 1  # the volume's


def test_a_place_under_a_study_is_kept_by_a_saved_scene(application, tmp_path):
    volume = addVolume()
    patient = hierarchy().CreateSubjectItem(hierarchy().GetSceneItemID(), "Patient 1")
    study = hierarchy().CreateStudyItem(patient, "CT abdomen")
    hierarchy().SetItemParent(hierarchy().GetItemByDataNode(volume), study)
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    application.closeScene()
    assert hierarchy().GetNumberOfItems() == 0
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    item = hierarchy().GetItemByDataNode(slicer.util.getNode("CT"))
    assert hierarchy().GetItemName(hierarchy().GetItemParent(item)) == "CT abdomen"


def test_terminologies_are_loaded(application):
    logic = slicer.modules.terminologies.logic()
    names = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    assert "Segmentation category and type - 3D Slicer General Anatomy list" in [
        names.GetValue(i) for i in range(names.GetNumberOfValues())
    ]
    entry = slicer.vtkSlicerTerminologyEntry()
    text = (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
    )
    assert logic.DeserializeTerminologyEntry(text, entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Liver"
    liver = slicer.vtkSlicerTerminologyType()
    context = entry.GetTerminologyContextName()
    assert logic.GetNthTypeInTerminologyCategory(context, entry.GetCategoryObject(), 0, liver)
    assert liver.GetCodeMeaning() == "Liver"
    assert tuple(liver.GetRecommendedDisplayRGBValue()) == (221, 130, 101)
