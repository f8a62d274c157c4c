-- The views. Sessions do not overlap: an instant lies in the last one that began before it, unless
-- that had ended. The condition at an instant is told by the last stimulus marker of its session.

CREATE VIEW expression_view AS
SELECT strftime('%Y-%m-%dT%H:%M:%S', expression.at / 1000, 'unixepoch')
        || printf('.%03dZ', expression.at % 1000) AS at,
    expression.at AS at_ms, expression.session, session_participant.code AS participant,
    (SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker
        WHERE marker.session = expression.session
            AND marker.kind IN ('stimulus_start', 'stimulus_end') AND marker.at <= expression.at
        ORDER BY marker.at DESC, marker.id DESC LIMIT 1) AS condition,
    expression.track, expression.interval_ms, expression.frames,
    expression.neutral, expression.happiness, expression.surprise, expression.sadness,
    expression.anger, expression.disgust, expression.fear, expression.contempt,
    expression.smoothed_neutral, expression.smoothed_happiness, expression.smoothed_surprise,
    expression.smoothed_sadness, expression.smoothed_anger, expression.smoothed_disgust,
    expression.smoothed_fear, expression.smoothed_contempt,
    coalesce(expression.emotion, 'uncertain') AS emotion,
    expression.face_size, expression.quality, expression.is_primary, expression.simulated,
    expression.attribution
FROM (SELECT *, (
        SELECT nearest.id FROM (
            SELECT id, ended FROM session WHERE started <= expression.at
            ORDER BY started DESC LIMIT 1
        ) AS nearest WHERE nearest.ended IS NULL OR expression.at < nearest.ended
    ) AS session FROM expression) AS expression
LEFT JOIN session ON session.id = expression.session
LEFT JOIN participant AS session_participant ON session_participant.id = session.participant;

CREATE VIEW unfit_view AS
SELECT strftime('%Y-%m-%dT%H:%M:%S', unfit.at / 1000, 'unixepoch')
        || printf('.%03dZ', unfit.at % 1000) AS at,
    unfit.at AS at_ms, unfit.session, participant.code AS participant,
    (SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker
        WHERE marker.session = unfit.session
            AND marker.kind IN ('stimulus_start', 'stimulus_end') AND marker.at <= unfit.at
        ORDER BY marker.at DESC, marker.id DESC LIMIT 1) AS condition,
    unfit.track, unfit.interval_ms, unfit.reason, unfit.frames, unfit.is_primary, unfit.simulated,
    unfit.attribution
FROM (SELECT *, (
        SELECT nearest.id FROM (
            SELECT id, ended FROM session WHERE started <= unfit.at
            ORDER BY started DESC LIMIT 1
        ) AS nearest WHERE nearest.ended IS NULL OR unfit.at < nearest.ended
    ) AS session FROM unfit) AS unfit
LEFT JOIN session ON session.id = unfit.session
LEFT JOIN participant ON participant.id = session.participant;

-- Strengths 0…1, angles in degrees, look −1…1.
CREATE VIEW movement_view AS
SELECT strftime('%Y-%m-%dT%H:%M:%S', movement.at / 1000, 'unixepoch')
        || printf('.%03dZ', movement.at % 1000) AS at,
    movement.at AS at_ms, movement.session, participant.code AS participant,
    (SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker
        WHERE marker.session = movement.session
            AND marker.kind IN ('stimulus_start', 'stimulus_end') AND marker.at <= movement.at
        ORDER BY marker.at DESC, marker.id DESC LIMIT 1) AS condition,
    movement.track, movement.interval_ms, movement.frames,
    movement.brow_down / 1000.0 AS brow_down, movement.brow_inner_up / 1000.0 AS brow_inner_up,
    movement.brow_outer_up / 1000.0 AS brow_outer_up, movement.eye_blink / 1000.0 AS eye_blink,
    movement.eye_squint / 1000.0 AS eye_squint, movement.eye_wide / 1000.0 AS eye_wide,
    movement.cheek_squint / 1000.0 AS cheek_squint, movement.nose_sneer / 1000.0 AS nose_sneer,
    movement.upper_lip_up / 1000.0 AS upper_lip_up,
    movement.lower_lip_down / 1000.0 AS lower_lip_down, movement.smile / 1000.0 AS smile,
    movement.frown / 1000.0 AS frown, movement.lip_stretch / 1000.0 AS lip_stretch,
    movement.lip_press / 1000.0 AS lip_press, movement.pucker / 1000.0 AS pucker,
    movement.jaw_open / 1000.0 AS jaw_open, movement.yaw / 10.0 AS yaw,
    movement.pitch / 10.0 AS pitch, movement.roll / 10.0 AS roll,
    movement.look_x / 1000.0 AS look_x, movement.look_y / 1000.0 AS look_y,
    movement.is_primary, movement.simulated, movement.source, movement.attribution
FROM (SELECT *, (
        SELECT nearest.id FROM (
            SELECT id, ended FROM session WHERE started <= movement.at
            ORDER BY started DESC LIMIT 1
        ) AS nearest WHERE nearest.ended IS NULL OR movement.at < nearest.ended
    ) AS session FROM movement) AS movement
LEFT JOIN session ON session.id = movement.session
LEFT JOIN participant ON participant.id = session.participant;

CREATE VIEW vital_view AS
SELECT strftime('%Y-%m-%dT%H:%M:%S', vital.at / 1000, 'unixepoch')
        || printf('.%03dZ', vital.at % 1000) AS at,
    vital.at AS at_ms, vital.session, participant.code AS participant,
    (SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker
        WHERE marker.session = vital.session
            AND marker.kind IN ('stimulus_start', 'stimulus_end') AND marker.at <= vital.at
        ORDER BY marker.at DESC, marker.id DESC LIMIT 1) AS condition,
    vital.kind, vital.value,
    (SELECT unit FROM vital_kind WHERE vital_kind.kind = vital.kind) AS unit,
    vital.source, vital.flags, vital.device_time,
    instr(' ' || vital.flags || ' ', ' simulated ') > 0 AS simulated, vital.error
FROM (SELECT *, (
        SELECT nearest.id FROM (
            SELECT id, ended FROM session WHERE started <= vital.at
            ORDER BY started DESC LIMIT 1
        ) AS nearest WHERE nearest.ended IS NULL OR vital.at < nearest.ended
    ) AS session FROM vital) AS vital
LEFT JOIN session ON session.id = vital.session
LEFT JOIN participant ON participant.id = session.participant;

-- Times in which the emotion stayed. Rows more than 3 s apart are two episodes. The reader puts a
-- narrower condition behind "is_primary = 1", before the window functions run.
CREATE VIEW episode AS
WITH marked AS (
    SELECT id, at, interval_ms, emotion, simulated, frames,
        CASE WHEN emotion IS lag(emotion) OVER following
            AND at - interval_ms - lag(at) OVER following <= 3000
            THEN 0 ELSE 1 END AS opens
    FROM expression
    WHERE is_primary = 1
    WINDOW following AS (PARTITION BY simulated ORDER BY at, id)
), numbered AS (
    SELECT *, sum(opens) OVER (PARTITION BY simulated ORDER BY at, id) AS number FROM marked
)
SELECT strftime('%Y-%m-%dT%H:%M:%S', min(at - interval_ms) / 1000, 'unixepoch')
        || printf('.%03dZ', min(at - interval_ms) % 1000) AS start_at,
    strftime('%Y-%m-%dT%H:%M:%S', max(at) / 1000, 'unixepoch')
        || printf('.%03dZ', max(at) % 1000) AS end_at,
    min(at - interval_ms) AS start_ms, max(at) AS end_ms,
    (max(at) - min(at - interval_ms)) / 1000.0 AS seconds,
    coalesce(emotion, 'uncertain') AS emotion,
    count(*) AS rows, sum(frames) AS frames, simulated
FROM numbered
GROUP BY simulated, number;

-- A condition lasts from its stimulus start to the next stimulus marker, or to the end of the
-- session.
CREATE VIEW condition AS
SELECT session, participant, label, started, ended FROM (
    SELECT marker.session, participant.code AS participant,
        marker.kind, marker.label, marker.at AS started,
        coalesce(
            lead(marker.at) OVER (PARTITION BY marker.session ORDER BY marker.at, marker.id),
            session.ended
        ) AS ended
    FROM marker JOIN session ON session.id = marker.session
    JOIN participant ON participant.id = session.participant
    WHERE marker.kind IN ('stimulus_start', 'stimulus_end')
) WHERE kind = 'stimulus_start';

-- 2^62 is the end of an open session, so that the range of an index has two ends.
CREATE VIEW session_vital AS
SELECT strftime('%Y-%m-%dT%H:%M:%S', vital.at / 1000, 'unixepoch')
        || printf('.%03dZ', vital.at % 1000) AS at,
    vital.at AS at_ms, session.id AS session, participant.code AS participant,
    (SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker
        WHERE marker.session = session.id
            AND marker.kind IN ('stimulus_start', 'stimulus_end') AND marker.at <= vital.at
        ORDER BY marker.at DESC, marker.id DESC LIMIT 1) AS condition,
    vital.kind, vital.value,
    (SELECT unit FROM vital_kind WHERE vital_kind.kind = vital.kind) AS unit,
    vital.source, vital.flags,
    max(session.simulated, instr(' ' || vital.flags || ' ', ' simulated ') > 0) AS simulated
FROM session
JOIN participant ON participant.id = session.participant
JOIN vital ON vital.at >= session.started
    AND vital.at < coalesce(session.ended, 4611686018427387904);
