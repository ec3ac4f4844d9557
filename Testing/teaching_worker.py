"""A worker whose teaching is a stand-in. $MEDLANDMARK_TEST_STEP_S: how long each of its steps takes."""

from __future__ import annotations

import os

from teaching_doubles import TeachDouble, put_in_place

from MedLandmarkLib.engine.server import serve
from MedLandmarkLib.engine.standard_jobs import standard_jobs

if __name__ == "__main__":
    put_in_place(TeachDouble(float(os.environ.get("MEDLANDMARK_TEST_STEP_S", "0.02"))))
    serve(standard_jobs())
