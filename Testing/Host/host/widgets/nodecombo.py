"""Stand-in for the combo box of nodes."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import logging
from typing import Any

from PySide6.QtCore import Property, QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QSizePolicy, QWidget

from .combos import ctkComboBox
from .declare import inner, stored, vtkSignatures
from .nodelist import ACTION_ROLE, NodeList


@vtkSignatures(
    "currentNodeChanged(vtkMRMLNode*)",
    "nodeActivated(vtkMRMLNode*)",
    "nodeAdded(vtkMRMLNode*)",
    "nodeAddedByUser(vtkMRMLNode*)",
    "nodeAddedByUserAction(vtkMRMLNode*)",
    "nodeAboutToBeRemoved(vtkMRMLNode*)",
    "nodeAboutToBeEdited(vtkMRMLNode*)",
    "setMRMLScene(vtkMRMLScene*)",
    "setCurrentNode(vtkMRMLNode*)",
)
class qMRMLNodeComboBox(QWidget):
    """Choose a node of the scene; menu entries create, rename and delete nodes.

    The inner combo box is a real one over a real item model, so what is selected after rows come and go
    is decided by Qt, as in the application.
    """

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    currentNodeRenamed = Signal(str)

    addEnabled = stored(bool, "addEnabled", True, "_updateActions")
    removeEnabled = stored(bool, "removeEnabled", True, "_updateActions")
    editEnabled = stored(bool, "editEnabled", False, "_updateActions")
    renameEnabled = stored(bool, "renameEnabled", False, "_updateActions")
    noneEnabled = stored(bool, "noneEnabled", False, "_updateNone")
    noneDisplay = stored(str, "noneDisplay", "None", "_updateNone")
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "Singleton")
    nodeTypes = stored("QStringList", "nodeTypes", [], "_updateFilter")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "_updateFilter")
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, "_updateFilter")
    showHidden = stored(bool, "showHidden", False, "_updateFilter")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._switching = False
        self._text = ""
        self._requested: Any = ""
        self._labels: dict[str, str] = {}
        self._baseNames: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._userActions: list[QAction] = []
        self._nodes = NodeList(self)
        self._combo = self._makeComboBox()
        self._combo.setModel(self._nodes.model)
        self._combo.setFocusProxy(self)
        self._combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        model = self._nodes.model
        model.rowsInserted.connect(self.emitNodesAdded)
        model.rowsAboutToBeRemoved.connect(self.emitNodesAboutToBeRemoved)
        self._nodes.removed.connect(self.refreshIfCurrentNodeHidden)
        self._combo.currentIndexChanged.connect(self._onIndex)
        self._combo.currentTextChanged.connect(self._onText)
        self._combo.activated.connect(self.emitNodeActivated)
        self._combo.view().clicked.connect(self.activateExtraItem)
        self._updateFilter()
        self._updateNone()
        self._updateActions()
        self.setEnabled(False)

    def _makeComboBox(self) -> QComboBox:
        combo = ctkComboBox(self)
        combo.elideMode = Qt.TextElideMode.ElideMiddle
        return combo

    # -- properties that reach into the list ----

    sizeAdjustPolicy = inner(
        int, "_combo", "sizeAdjustPolicy", "setSizeAdjustPolicy", QComboBox.SizeAdjustPolicy
    )

    def _getBaseName(self) -> str:
        return self._baseNames.get(self.nodeTypes[0], "") if self.nodeTypes else ""

    def _setBaseName(self, name: str) -> None:
        # As in the application the name is lost when the node types are not known yet.
        self._baseNames.update(dict.fromkeys(self.nodeTypes, name))
        if not self.nodeTypes:
            logging.warning("qMRMLNodeComboBox::setBaseName failed: no node types have been set yet")

    baseName = Property(str, _getBaseName, _setBaseName)

    def _updateFilter(self) -> None:
        shown = self._nodes.filter
        shown.nodeTypes = [name for name in self.nodeTypes if name]
        shown.hideChildNodeTypes = self.hideChildNodeTypes
        shown.showChildNodeTypes = self.showChildNodeTypes
        shown.showHidden = self.showHidden
        self._nodes.refresh()
        self._updateDefaultText()
        self._updateActions()

    def _updateDefaultText(self) -> None:
        if isinstance(self._combo, ctkComboBox):
            first = self.nodeTypes[0] if self.nodeTypes else ""
            self._combo.defaultText = f"Select a {self.nodeTypeLabel(first)}"

    def _updateNone(self) -> None:
        self._nodes.setBefore([self.noneDisplay] if self.noneEnabled and self._scene is not None else [])

    def _updateActions(self) -> None:
        items: list[tuple[str, str]] = []
        if self._scene is not None:
            label = self.nodeTypeLabel(self.nodeTypes[0] if len(self.nodeTypes) == 1 else "")
            if self.renameEnabled:
                items.append((f"Rename current {label}", "RENAME"))
            if self.editEnabled:
                items.append((f"Edit current {label}", "EDIT"))
            if self.addEnabled:
                for nodeType in self.nodeTypes:
                    name = self.nodeTypeLabel(nodeType)
                    items.append((f"Create new {name}", f"CREATE/{nodeType}"))
                    if self.renameEnabled:
                        items.append((f"Create new {name} as...", f"CREATE_AS/{nodeType}"))
            if self.removeEnabled:
                items.append((f"Delete current {label}", "DELETE"))
            items += [(action.text(), f"USER/{i}") for i, action in enumerate(self._userActions)]
            if items or self.addEnabled:
                items.insert(0, ("separator", "SEPARATOR"))
        current = self._combo.currentIndex()
        wasSwitching, self._switching = self._switching, True
        self._nodes.setAfter(items)
        self._combo.setCurrentIndex(current)
        self._switching = wasSwitching

    # -- scene ----

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        hadNodes = self.nodeCount() > 0
        before = self._nodes.idAt(self._combo.currentIndex())
        self._switching = True
        self._scene = scene
        self._nodes.setScene(scene)
        self._updateNone()
        self._updateActions()
        wanted = before
        if not hadNodes:
            wanted = self._nodes.idAt(0)  # the first node, or "None" where that is offered
            requested = self._requested
            if requested:
                wanted = requested if isinstance(requested, str) else requested.GetID() or ""
        self._requested = ""
        self._combo.setCurrentIndex(-1)
        self._switching = False
        self._select(wanted)
        if self._combo.currentIndex() == -1:
            self.emitCurrentNodeChanged()
        self._updateDefaultText()
        self.setEnabled(scene is not None)

    def mrmlScene(self) -> Any:
        return self._scene

    # -- current node ----

    def currentNode(self) -> Any:
        return self._nodes.nodeAt(self._combo.currentIndex())

    def _currentID(self) -> str:
        node = self.currentNode()
        return node.GetID() if node is not None else ""

    @Slot(str)
    def setCurrentNodeID(self, nodeID: str) -> None:
        nodeID = nodeID or ""
        if self._scene is None:
            self._requested = nodeID
        self._select(nodeID)

    @Slot(object)
    @Slot(str)
    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            self.setCurrentNodeID(node)
            return
        if self._scene is None:
            self._requested = node or ""
        self._select((node.GetID() or "") if node is not None else "")

    currentNodeID = Property(str, _currentID, setCurrentNodeID)
    currentNodeId = Property(str, _currentID, setCurrentNodeID)

    @Slot(int)
    def setCurrentNodeIndex(self, index: int) -> None:
        if index >= self.nodeCount():
            index = -1
        self._combo.setCurrentIndex(index + len(self._nodes.before))

    def _select(self, nodeID: str) -> None:
        row = self._nodes.rowOf(nodeID)
        self._combo.setCurrentIndex(row if row >= 0 else len(self._nodes.before) - 1)

    def nodeCount(self) -> int:
        return len(self._nodes.nodeRows()) if self._scene is not None else 0

    def nodeFromIndex(self, index: int) -> Any:
        return self._nodes.nodeAt(index + len(self._nodes.before))

    # -- what the menu does ----

    @Slot(result="QVariant")
    @Slot(str, result="QVariant")
    def addNode(self, nodeType: str | None = None) -> Any:
        if nodeType is None:
            if not self.nodeTypes:
                return None
            nodeType = self.nodeTypes[0]
        if nodeType not in self.nodeTypes or self._scene is None:
            logging.warning("qMRMLNodeComboBox::addNode() attempted with node type %s", nodeType)
            return None
        node = self._scene.CreateNodeByClass(nodeType)
        node.UnRegister(None)
        for name, value in self._attributes.items():
            node.SetAttribute(name, value)
        label = self._baseNames.get(nodeType) or node.GetNodeTagName()
        node.SetName(self._scene.GenerateUniqueName(label))
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    @Slot()
    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self._scene.RemoveNode(node)

    @Slot()
    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self.currentNode())

    @Slot()
    def renameCurrentNode(self) -> None:
        node = self.currentNode()
        if node is None:
            return
        title = f"Rename {self.nodeTypeLabel(node.GetClassName())}"
        name, accepted = QInputDialog.getText(self, title, "New name:", text=node.GetName() or "")
        if accepted and name:
            node.SetName(name)
            self.currentNodeRenamed.emit(name)

    @Slot("QModelIndex")
    def activateExtraItem(self, index: QModelIndex) -> None:
        action = index.data(ACTION_ROLE) or ""
        if not action or action == "SEPARATOR":
            return
        self._combo.hidePopup()
        command, _, argument = action.partition("/")
        if command == "USER":
            self._userActions[int(argument)].trigger()
        elif command in ("CREATE", "CREATE_AS"):
            self._createByUser(argument, command == "CREATE_AS")
        else:
            {
                "DELETE": self.removeCurrentNode,
                "EDIT": self.editCurrentNode,
                "RENAME": self.renameCurrentNode,
            }[command]()

    def _createByUser(self, nodeType: str, askName: bool) -> None:
        name, accepted = "", True
        if askName:
            name, accepted = QInputDialog.getText(
                self, f"Create new {self.nodeTypeLabel(nodeType)}", "New name:"
            )
        if not accepted or (askName and not name):
            return
        node = self.addNode(nodeType)
        if node is not None:
            if name:
                node.SetName(name)
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)

    def addMenuAction(self, action: QAction) -> None:
        if all(known.text() != action.text() for known in self._userActions):
            self._userActions.append(action)
            self._updateActions()

    # -- labels and attributes ----

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._attributes[name] = "" if value is None else str(value)
        self._nodes.filter.attributes.setdefault(nodeType, {})[name] = None if value is None else str(value)
        self._nodes.refresh()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes.pop(name, None)
        self._nodes.filter.attributes.get(nodeType, {}).pop(name, None)
        self._nodes.refresh()

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        if label:
            self._labels[nodeType] = label
        else:
            self._labels.pop(nodeType, None)
        self._updateDefaultText()
        self._updateActions()

    def nodeTypeLabel(self, nodeType: str) -> str:
        if nodeType in self._labels:
            return self._labels[nodeType]
        label = (
            self._scene.GetTypeDisplayNameByClassName(nodeType)
            if self._scene is not None and nodeType
            else ""
        )
        return label or "node"

    def sortFilterProxyModel(self) -> Any:
        return self._nodes.model

    # -- signals ----

    @Slot(int)
    def _onIndex(self, _row: int) -> None:
        self._text = self._combo.currentText()
        self.emitCurrentNodeChanged()

    @Slot(str)
    def _onText(self, text: str) -> None:
        # In Qt 5 the text comes with every change of the row, in Qt 6 only when it differs: here, a new name.
        if text != self._text:
            self._text = text
            self.emitCurrentNodeChanged()

    @Slot()
    def emitCurrentNodeChanged(self, *_: Any) -> None:
        if self._switching:
            return
        row = self._combo.currentIndex()
        node = self._nodes.nodeAt(row)
        if node is None and row >= len(self._nodes.before):  # one of the menu entries: it cannot be selected
            last = self.nodeFromIndex(self.nodeCount() - 1)
            if last is not None:
                self.setCurrentNode(last)
            return
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    @Slot(int)
    def emitNodeActivated(self, row: int) -> None:
        node = self._nodes.nodeAt(row)
        if node is not None or row < len(self._nodes.before):
            self.nodeActivated.emit(node)

    @Slot("QModelIndex", int, int)
    def emitNodesAdded(self, _parent: QModelIndex, first: int, last: int) -> None:
        self._emitForRows(self.nodeAdded, first, last)

    @Slot("QModelIndex", int, int)
    def emitNodesAboutToBeRemoved(self, _parent: QModelIndex, first: int, last: int) -> None:
        self._emitForRows(self.nodeAboutToBeRemoved, first, last)

    def _emitForRows(self, signal: Any, first: int, last: int) -> None:
        for row in range(first, last + 1):
            node = self._nodes.nodeAt(row)
            if node is not None:
                signal.emit(node)

    @Slot()
    def refreshIfCurrentNodeHidden(self, *_: Any) -> None:
        if not self._switching and self.currentNode() is None:
            self.setCurrentNode(None)
