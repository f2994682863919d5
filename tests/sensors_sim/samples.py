"""Small hand-made files in the layouts of the recordings."""

import gzip
from pathlib import Path

AIR = (
    '"No","year","month","day","hour","PM2.5","PM10","SO2","NO2","CO","O3","TEMP","PRES","DEWP","RAIN","wd","WSPM","station"\n'
    '1,2013,3,1,0,3,6,13,7,300,85,-2.3,1020.8,-19.7,0,"E",0.5,"Changping"\n'
    '2,2013,3,1,1,NA,3,6,6,300,85,-2.5,1021.3,-19,0,NA,0.7,"Changping"\n'
)
AIR_TWO = AIR.replace("Changping", "Tiantan").replace("2013,3,1,1,NA,3", "2013,3,1,1,11,29")

COUNTS = (
    "Date,Day_of_week,Hour,SensorID,SensorName,PedestrianCount\n"
    "01-Apr-2012,Sunday,3,4,Town Hall (West),638\n"
    "01-Apr-2012,Sunday,1,4,Town Hall (West),988\n"
    "01-Apr-2012,Sunday,2,4,Town Hall (West),654\n"
    "01-Apr-2012,Sunday,2,17,<undefined>,NaN\n"
    "01-Apr-2012,Sunday,2,NaN,Town Hall (West),5\n"
    "01-Apr-2012,Sunday,2,99,Nowhere,5\n"
    "07-Oct-2012,Sunday,1,17,Collins Place (South),395\n"
    "07-Oct-2012,Sunday,2,17,Collins Place (South),259\n"
    "07-Oct-2012,Sunday,3,17,Collins Place (South),160\n"
)
PLACES = (
    "Sensor ID,Sensor Name,Sensor Description,Status,Geometry,Latitude,Longitude\n"
    '4,Swa123_T,Town Hall (West),Installed,"(-37.81, 144.96)",-37.8148798759503,144.966087801437\n'
    '17,Col15_T,Collins Place (South),Installed,"(-37.81, 144.97)",-37.8136254240211,144.973235916778\n'
)

CLEAN = (
    "timestamp,mote_id,has_fault_type,temperature,light\n"
    "'2004-02-29T00:00:19',{mote},0,19.4984,114.08\n"
    "'2004-02-29T00:00:52',{mote},0,19.5,115\n"
)
FAULTY = (
    "set_id,timestamp,mote_id,has_fault_type,light,temperature\n"
    "26,'2004-02-29T00:00:19',6,0,114.08,19.498\n"
    "26,'2004-02-29T00:00:52',6,1,900,19.498\n"
)


def write(path: Path, text: str, *, packed: bool = False, mark: bool = False) -> Path:
    data = (b"\xef\xbb\xbf" if mark else b"") + text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def families(folder: Path) -> dict[str, list[Path]]:
    """Files of every family."""
    return {
        "air_beijing": [
            write(folder / "a.csv", AIR, mark=True),
            write(folder / "b.csv.gz", AIR_TWO, packed=True),
        ],
        "people_melbourne": [write(folder / "counts.csv", COUNTS), write(folder / "places.csv", PLACES)],
        "faults_intel": [
            write(folder / "Node06_clean.txt", CLEAN.format(mote=6)),
            write(folder / "Node45_clean.txt.gz", CLEAN.format(mote=45), packed=True),
            write(folder / "mote-6_sensortype-light_faulttype-random.txt", FAULTY),
        ],
    }
