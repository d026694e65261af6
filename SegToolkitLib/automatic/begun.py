"""What a model that is trained further leaves to the new one: the cases it has seen, and its terms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from SegToolkitLib.dataset.dataset import Dataset, case_key
from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import Licence, ModelCard, TrainedOn
from SegToolkitLib.models.trained import NOT_STATED

# Keys under "data" of a run's settings.json; runs from before the terms were kept have the first alone.
SEEN, TERMS, NAME = "begun_with", "begun_licence", "begun_name"
# Between the licences that hold together.
JOINT = " + "
SHARE_ALIKE = re.compile(r"\bSA\b|share.?alike|\b[AL]?GPL|\bODbL|\bEUPL|\bMPL", re.IGNORECASE)
MOST_NAMED = 5


@dataclass(frozen=True)
class Begun:
    """The weights that a training begins with.

    Attributes:
        name: of the model or the file; "" where weights are fresh.
        trained_on: what they have seen, as far as it is known.
        licence: their terms; None where weights are fresh, or a run is from before the terms were kept.
    """

    name: str = ""
    trained_on: tuple[TrainedOn, ...] = ()
    licence: Licence | None = None

    @classmethod
    def of_card(cls, card: ModelCard) -> Begun:
        """The weights of a model."""
        return cls(card.name, tuple(card.trained_on), card.licence)

    @classmethod
    def of_file(cls, name: str) -> Begun:
        """Weights without a card: nobody says what they have seen, or on what terms they come."""
        summary = f"The terms of the weights of {name} are not stated."
        return cls(name, (), Licence(name=NOT_STATED, permissive=False, summary=summary))

    @classmethod
    def of_run(cls, data: Mapping[str, Any]) -> Begun:
        """What :meth:`kept` has put into the fingerprint of a run's data."""
        terms = data.get(TERMS)
        return cls(
            data.get(NAME) or "",
            tuple(TrainedOn.model_validate(one) for one in data.get(SEEN) or ()),
            Licence.model_validate(terms) if terms else None,
        )

    def kept(self) -> dict[str, Any]:
        """What a run remembers of it, as plain values."""
        return {
            SEEN: [one.model_dump(mode="json") for one in self.trained_on],
            TERMS: self.licence.model_dump(mode="json") if self.licence is not None else None,
            NAME: self.name,
        }

    def all_seen(self, own: TrainedOn) -> list[TrainedOn]:
        """What a run has seen, and what its weights had seen before; said once if the same."""
        return [own, *(one for one in self.trained_on if one != own)]

    def joined(self, own: Licence) -> Licence:
        """The terms of the new model: those of the data it was trained on, and those of the weights.

        Args:
            own: of the data.

        Returns:
            ``own`` where the weights add nothing to it. Any use is allowed if both allow it.
        """
        added = self._added(own)
        start = self.licence
        if start is None or not added:
            permissive = own.permissive and (start is None or start.permissive)
            return own.model_copy(update={"permissive": permissive})
        where = f" ({start.url})" if start.url and own.url and start.url != own.url else ""
        said = [own.summary, f"It was begun with the weights of {self.name}, under {start.name}{where}."]
        if start.summary and start.summary not in own.summary:
            said.append(start.summary)
        if is_share_alike(start):
            said.append("That licence is share-alike: what is made of the weights is passed on under it.")
        elif not start.permissive:
            said.append("That licence is not permissive, and holds for this model as well.")
        return Licence(
            name=JOINT.join([*own.name.split(JOINT), *added]),
            permissive=own.permissive and start.permissive,
            summary=" ".join(part for part in said if part),
            url=own.url or start.url,
        )

    def tell(self, own: Licence, dataset: Dataset, held_out: Sequence[str], reporter: Reporter) -> None:
        """Warn of what a person might not expect of weights that are trained further.

        Args:
            own: terms of the data; those of the weights are told where they add to them.
            dataset: of the run.
            held_out: cases whose patients ought to be unknown to the weights.
            reporter: hears of it.
        """
        start = self.licence
        if start is not None and self._added(own) and (is_share_alike(start) or not start.permissive):
            kind = "share-alike" if is_share_alike(start) else "not permissive"
            reporter.warning(
                f"The weights to begin with ({self.name}) come under the licence {start.name}, which is"
                f" {kind}: it holds for the new model too, and its card says so.",
                "Read these terms before you pass the new model on.",
            )
        ids = {
            case_key(id)
            for one in self.trained_on
            if one.dataset == dataset.description.name
            for id in one.cases
        }
        patients = {dataset.patients.get(id, id) for id in ids}
        known = [id for id in held_out if id in ids or dataset.patients.get(id, id) in patients]
        if known:
            named = ", ".join(known[:MOST_NAMED]) + (" ..." if len(known) > MOST_NAMED else "")
            reporter.warning(
                f"The weights to begin with were trained on {len(known)} held-out case(s) or their patients"
                f" ({named}): the validation's figures are too good.",
                "Hold out what that training held out (data.fold), or begin with other weights.",
            )

    def _added(self, own: Licence) -> list[str]:
        """The licences of the weights that the data do not come under anyway."""
        if self.licence is None:
            return []
        known = own.name.casefold().split(JOINT)
        return [one for one in self.licence.name.split(JOINT) if one.casefold() not in known]


def is_share_alike(licence: Licence) -> bool:
    """Whether a licence asks, by its name, that what is made of its work comes under it as well.

    Example:
        >>> [is_share_alike(Licence(name=one, permissive=True)) for one in ("CC BY-SA 4.0", "CC BY 4.0")]
        [True, False]
    """
    return SHARE_ALIKE.search(licence.name) is not None
