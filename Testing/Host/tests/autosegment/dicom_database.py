"""A stand-in for the application's DICOM database (ctkDICOMDatabase): what our scripts use of it."""

from __future__ import annotations


class Database:
    """What scripts use of ctkDICOMDatabase, for two patients."""

    isOpen = True
    tree = {  # noqa: RUF012
        "1": ("Miller^Anna", {"1.1": ("20260101", {"1.1.1": ("CT", "thin"), "1.1.2": ("CT", "thick")})}),
        "2": ("Smith^Otto", {"2.1": ("20260202", {"2.1.1": ("MR", "T2"), "2.1.2": ("SR", "report")})}),
    }

    def patients(self):
        return tuple(self.tree)

    def _study(self, uid):
        return self.tree[uid.split(".")[0]][1][uid]

    def _series(self, uid):
        return self._study(uid.rpartition(".")[0])[1][uid]

    def studiesForPatient(self, uid):
        return tuple(self.tree[uid][1])

    def seriesForStudy(self, uid):
        return tuple(self._study(uid)[1])

    def filesForSeries(self, uid):
        return tuple(f"{uid}.{n}" for n in range(12))

    def fieldForPatient(self, field, uid):
        return {"PatientsName": self.tree[uid][0], "PatientID": f"id{uid}"}[field]

    def fieldForStudy(self, field, uid):
        return {"StudyDate": self._study(uid)[0], "StudyDescription": ""}[field]

    def fieldForSeries(self, field, uid):
        modality, title = self._series(uid)
        return {"Modality": modality, "SeriesNumber": uid[-1], "SeriesDescription": title}[field]
