-- A study and a video that release 0.1.0 has imported into the database of rows.sql, and rows that
-- are not theirs: recorded before in the time of a session, or with the number of a row of theirs
-- that was erased since.

INSERT INTO expression (id, at, interval_ms, track, frames,
        neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
        smoothed_neutral, smoothed_happiness, smoothed_surprise, smoothed_sadness, smoothed_anger,
        smoothed_disgust, smoothed_fear, smoothed_contempt, emotion, face_size, quality, is_primary)
    SELECT number, at, 1000, 1, 5, 900, 50, 10, 10, 10, 10, 5, 5,
        900, 50, 10, 10, 10, 10, 5, 5, 'neutral', 0.3, 0.9, 1
    FROM (SELECT 3 AS number, 1763000001000 AS at
        UNION SELECT 4, 1763000002000 UNION SELECT 5, 1763000003000
        UNION SELECT 6, 1764100000000
        UNION SELECT 7, 1764000040000 UNION SELECT 8, 1764000041000);
INSERT INTO movement (id, at, interval_ms, track, frames) VALUES (2, 1764000040000, 1000, 1, 5);
INSERT INTO unfit (id, at, interval_ms, track, reason, frames)
    VALUES (2, 1763000004000, 1000, 1, 'blurred', 3);
INSERT INTO gap (id, source, started, ended, reason)
    VALUES (2, 'camera', 1763000005000, 1763000006000, 'unplugged');
INSERT INTO vital (at, kind, source, value, import)
    VALUES (1763000001000, 'heart_rate', 'ble:strap', 70, NULL),
        (1763000001000, 'heart_rate', 'csv:watch', 71, 2);
INSERT INTO participant (id, code, created)
    VALUES (2, 'S01', 1762000000000), (3, 'H02', 1764200000000);
INSERT INTO participant_attribute (id, participant, name, value)
    VALUES (2, 2, 'sex', 'female'), (3, 3, 'sex', 'male');
INSERT INTO consent (id, participant, text_version, given)
    VALUES (2, 2, 'paper', 1762900000000), (3, 3, '3', 1764200000000);
INSERT INTO session (id, participant, purpose, name, started, ended, origin)
    VALUES (2, 2, 'research', '', 1763000000000, 1763000060000, 'import: study.zip'),
        (3, 3, 'research', '', 1764200010000, 1764200060000, '');
INSERT INTO marker (id, session, at, kind, label)
    VALUES (3, 2, 1763000000000, 'note', 'of the study'),
        (4, 1, 1764000040000, 'note', 'of the video'),
        (5, 1, 1764000050000, 'note', 'later');
INSERT INTO self_report (id, session, at, scale, value) VALUES (3, 2, 1763000050000, 'valence', 5);
INSERT INTO exclusion (id, session, reason, made, actor)
    VALUES (2, 2, 'of the study', 1764110000000, 'import');
INSERT INTO import (id, at, file, actor, readings, duplicates)
    VALUES (2, 1764110000000, 'study.zip', 'ada', 1, 0),
        (3, 1764120000000, 'talk.avi', 'ada', 0, 0);
INSERT INTO setting (key, value) VALUES
    ('study_import_2', '{"participant": [2, 3], "session": [2, 3], "consent": [2, 3],
        "participant_attribute": [2, 3], "marker": [3, 3], "self_report": [3, 3],
        "expression": [4, 6], "movement": [2, 1], "unfit": [2, 2], "gap": [2, 2], "model": [3, 2],
        "people": [[2, 1762000000000], [3, 1762000000001]], "others": 1}'),
    ('study_import_3', '{"participant": [4, 3], "session": [4, 3], "consent": [4, 3],
        "participant_attribute": [4, 3], "marker": [4, 4], "self_report": [4, 3],
        "expression": [7, 8], "movement": [2, 2], "unfit": [3, 2], "gap": [3, 2], "model": [3, 2],
        "people": [], "faces": [1, 1764000040000, 1764000043000, 1, 1764000001000], "others": 0}');
