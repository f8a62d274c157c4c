-- At least one row in each table of schema 34, as release 0.1.0 may have recorded it.

INSERT INTO migration (version, name, applied) VALUES (34, 'schema.sql', 1764000000000);
INSERT INTO setting (key, value) VALUES ('stream_epoch', '0123456789abcdef');
INSERT INTO boot (id, boot_id, started_ms, wall_minus_boot_ms, synchronised)
    VALUES (1, 'b1', 1764000000000, 1763999990000, 1);
INSERT INTO expression (at, boot_ms, boot, interval_ms, track, frames,
        neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
        smoothed_neutral, smoothed_happiness, smoothed_surprise, smoothed_sadness, smoothed_anger,
        smoothed_disgust, smoothed_fear, smoothed_contempt, emotion, face_size, quality, is_primary)
    VALUES (1764000010000, 20000, 1, 1000, 1, 5, 900, 50, 10, 10, 10, 10, 5, 5,
        900, 50, 10, 10, 10, 10, 5, 5, 'neutral', 0.3, 0.9, 1),
        (1764000011000, 21000, 1, 1000, 1, 5, 100, 800, 50, 10, 10, 10, 10, 10,
        100, 800, 50, 10, 10, 10, 10, 10, 'happiness', 0.3, 0.9, 1);
INSERT INTO unfit (at, boot_ms, boot, interval_ms, track, reason, frames)
    VALUES (1764000012000, 22000, 1, 1000, 1, 'blurred', 3);
INSERT INTO movement (at, boot_ms, boot, interval_ms, track, frames, brow_down, jaw_open, yaw)
    VALUES (1764000010000, 20000, 1, 1000, 1, 5, 120, 30, -45);
INSERT INTO vital (at, kind, source, value, flags, boot_ms, boot, import)
    VALUES (1764000010500, 'heart_rate', 'ble:strap', 71.5, '', 20500, 1, NULL),
        (1764000010600, 'systolic', 'file', 121, 'imported', NULL, NULL, 1);
INSERT INTO vital_change (at, kind, source, value, flags, new_value, changed, actor, boot)
    VALUES (1764000010500, 'heart_rate', 'ble:strap', 215, 'out_of_range', 71.5, 1764000020000,
        'ada', 1);
INSERT INTO import (at, file, actor, readings, duplicates)
    VALUES (1764000030000, 'cuff.csv', 'command line', 1, 0);
INSERT INTO gap (source, started, ended, reason, boot, started_boot)
    VALUES ('camera', 1764000013000, 1764000016000, 'unplugged', 1, 1);
INSERT INTO model (kind, name, version, sha256, since, boot)
    VALUES ('expression', 'expression-accurate', '1.0.0', 'aa', 1764000000000, 1),
        ('face-detector', 'face-detector', '1.3.0', 'bb', 1764000000000, 1);
INSERT INTO expression_minute (at, rows, frames, sum_neutral, count_neutral)
    VALUES (1764000000000, 2, 10, 1000, 1);
INSERT INTO expression_hour (at, rows, frames, sum_neutral, count_neutral)
    VALUES (1764000000000, 2, 10, 1000, 1);
INSERT INTO expression_day (at, rows, frames, sum_neutral, count_neutral)
    VALUES (1763942400000, 2, 10, 1000, 1);
INSERT INTO vital_minute (kind, at, n, total, least, most)
    VALUES ('heart_rate', 1764000000000, 1, 71.5, 71.5, 71.5);
INSERT INTO vital_hour (kind, at, n, total, least, most)
    VALUES ('heart_rate', 1764000000000, 1, 71.5, 71.5, 71.5);
INSERT INTO vital_day (kind, at, n, total, least, most)
    VALUES ('heart_rate', 1763942400000, 1, 71.5, 71.5, 71.5);
INSERT INTO participant (id, code, created, boot) VALUES (1, 'P01', 1764000001000, 1);
INSERT INTO participant_attribute (participant, name, value) VALUES (1, 'age_band', '30-39');
INSERT INTO consent (participant, text_version, given, given_boot, attributes)
    VALUES (1, '3', 1764000002000, 1, 'here');
INSERT INTO session (id, participant, purpose, name, started, ended, boot, boot_ms, origin)
    VALUES (1, 1, 'research', 'first', 1764000005000, 1764000060000, 1, 15000, '');
INSERT INTO marker (session, at, boot_ms, kind, label, boot)
    VALUES (1, 1764000006000, 16000, 'stimulus_start', 'film', 1),
        (1, 1764000020000, 30000, 'stimulus_end', 'film', 1);
INSERT INTO marker_change (session, marker, at, kind, label, removed, reason, changed, actor, boot)
    VALUES (1, 1, 1764000005500, 'stimulus_start', 'flim', 0, 'typo', 1764000070000, 'ada', 1);
INSERT INTO exclusion (session, from_ms, to_ms, reason, made, actor)
    VALUES (1, 1000, 2000, 'phone rang', 1764000080000, 'ada');
INSERT INTO self_report (session, at, boot_ms, condition, scale, value, boot)
    VALUES (1, 1764000021000, 31000, 'film', 'emotion', 'happiness', 1),
        (1, 1764000021000, 31000, 'film', 'valence', 7, 1);
INSERT INTO protocol_run (session, name, title, sha256, order_row, plan, state, saved,
        saved_boot_ms, boot)
    VALUES (1, 'films', 'Films', 'cc', 0, '[]', 'finished', 1764000060000, 70000, 1);
INSERT INTO preregistration (at, document, sha256) VALUES (1763990000000, '{}', 'dd');
INSERT INTO outbox (topic, seq, payload, created, boot_id, boot_ms, boot)
    VALUES ('summary', 7, '{"seq": 7}', 1764000020000, 'b1', 30000, 1);
INSERT INTO outbox_seq (topic, last) VALUES ('summary', 7);
INSERT INTO outbox_set_aside (topic, seq, payload, created, at, reason)
    VALUES ('summary', 5, x'ff00', 1764000018000, 1764000019000, 'no JSON');
INSERT INTO outbox_hole (epoch, topic, first_seq, last_seq, reason, at)
    VALUES ('0123456789abcdef', 'summary', 1, 4, 'outbox full', 1764000019000);
INSERT INTO audit (at, actor, action, detail, boot, seal)
    VALUES (1764000001000, 'ada', 'participant_create', 'P01', 1, 'ee');
INSERT INTO alert (id, rule, kind, text, session, raised, raised_boot, ended, ending, quiet)
    VALUES (1, 'heart', 'vital_high', 'heart rate above 120', 1, 1764000015000, 1, 1764000017000,
        'over', 0);
INSERT INTO alert_message (alert, event, target, tries, sent, error)
    VALUES (1, 'raised', 'ntfy', 1, 1764000015500, '');
INSERT INTO health_minute (at, fps, frames_dropped, rows_dropped, celsius, disk_free)
    VALUES (1764000000000, 10.0, 0, 0, 55.0, 9000000000);
INSERT INTO set_aside (at, source, content, reason)
    VALUES (1764000016000, 'vital', '{}', 'constraint');
INSERT INTO fleet_state (id, epoch, stream, confirmed) VALUES (1, '0123456789abcdef', 's', 3);
INSERT INTO fleet_change (seq, what, a) VALUES (4, 130, 1);
