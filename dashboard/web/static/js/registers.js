// What Python knows once, for scripts of pages; written by `python -m tools.write_registers`.

export const REGISTERS = {
 "flags": {
  "out_of_range": {"says": "out of range"},
  "contact_lost": {"says": "no contact"},
  "manual": {"says": "entered by hand"},
  "estimated": {"says": "estimated"},
  "simulated": {"says": "simulated"},
  "imported": {"says": "imported"},
  "body_movement": {"says": "movement during the measurement"},
  "cuff_loose": {"says": "cuff too loose"},
  "irregular_pulse": {"says": "irregular pulse"},
  "pulse_high": {"says": "pulse above the cuff’s range"},
  "pulse_low": {"says": "pulse below the cuff’s range"},
  "improper_position": {"says": "wrong arm position"},
  "clock_differs": {"says": "late, or a clock is wrong"},
  "replayed": {"says": "replayed"},
  "poor_signal": {"says": "poor signal"},
  "artefact": {"says": "far from its neighbours"}
 },
 "flaws": {
  "cut_off": {"says": "The face is cut off by the edge of the picture"},
  "too_small": {"says": "The face is too small: come closer to the camera"},
  "turned_away": {"says": "The face is turned away from the camera"},
  "too_dark": {"says": "The face is too dark: add light from the front"},
  "too_bright": {"says": "The face is too bright: take light away"},
  "blurred": {"says": "The face is blurred: hold still, or clean the lens"},
  "covered": {"says": "Mouth or eyes are covered: take off mask or dark glasses, and keep hands away"}
 },
 "markers": {
  "stimulus_start": {"says": "{label} started"},
  "stimulus_end": {"says": "{label} ended"},
  "baseline": {"says": "Baseline begins: a neutral face for 20 s"},
  "note": {"says": "Note added"},
  "declared": {"says": "The leading face is the participant’s"}
 },
 "ownNeutral": {
  "asked": {"says": "own neutral: waits for a baseline"},
  "off": {},
  "calibrated": {"says": "own neutral: calibrated"},
  "refused": {"says": "own neutral: baseline refused, set another one"}
 },
 "runs": {
  "running": {"says": "running", "tone": "good"},
  "paused": {"says": "paused", "tone": "warn"},
  "finished": {"says": "finished", "tone": "good"},
  "ended": {"says": "ended", "tone": "bad"}
 },
 "cameras": {
  "open": {"says": "camera open", "tone": "good"},
  "silent": {"says": "no picture from the camera", "tone": "bad"},
  "failed": {"says": "camera failed", "tone": "bad"},
  "closed": {"says": "camera closed: no session"},
  "ended": {"says": "camera: the file has ended"}
 },
 "brokers": {
  "connecting": {"says": "broker: connecting"},
  "connected": {"says": "broker connected", "tone": "good"},
  "silent": {"says": "broker not answering", "tone": "bad"},
  "unreachable": {"says": "broker not reachable", "tone": "bad"},
  "unauthorised": {"says": "broker: login refused", "tone": "bad"},
  "untrusted": {"says": "broker: certificate not trusted", "tone": "bad"},
  "refused": {"says": "broker refuses the connection", "tone": "bad"},
  "stopped": {"says": "broker: connection ended"},
  "disabled": {"says": "no broker set up"}
 },
 "previews": {
  "time": {"says": "The preview has ended: the minute is up."},
  "left": {"says": "The preview has ended."},
  "camera": {"says": "The preview has ended: no picture from the camera."},
  "agent": {"says": "The preview has ended: the agent does not answer."},
  "busy": {"says": "Somebody is already watching the preview. Only one person can watch at a time."},
  "login": {"says": "The preview has ended: the login has ended."},
  "role": {"says": "The preview has ended: this account may no longer see it."},
  "session": {"says": "The preview has ended: a session has started."},
  "database": {"says": "The preview has ended: permissions cannot be checked because the database does not answer."},
  "dashboard": {"says": "The preview has ended: the dashboard cannot be reached."}
 },
 "efforts": {
  "every_frame": {"says": "all"},
  "by_need": {"says": "as needed"},
  "sparing": {"says": "reduced: processor budget"}
 },
 "limits": {
  "budget": {"says": "processor budget"},
  "heat": {"says": "heat"}
 },
 "screens": {
  "baseline": {"section": "text", "isAnswered": false},
  "stimulus": {"section": "text", "isAnswered": false},
  "instruction": {"section": "instruction", "isAnswered": true},
  "blank": {"section": "blank", "isAnswered": false},
  "rest": {"section": "text", "isAnswered": false},
  "pressure": {"section": "text", "isAnswered": false},
  "scale": {"section": "points", "isAnswered": true},
  "question": {"section": "question", "isAnswered": true}
 },
 "questions": {
  "likert": {"numbers": [1, 11], "longest": 0},
  "slider": {"numbers": [0, 100], "longest": 0},
  "choice": {"numbers": null, "longest": 80},
  "free_text": {"numbers": null, "longest": 2000}
 },
 "vitals": {
  "heart_rate": {"unit": "/min", "digits": 0},
  "systolic": {"unit": "mmHg", "digits": 0},
  "diastolic": {"unit": "mmHg", "digits": 0},
  "mean_arterial": {"unit": "mmHg", "digits": 0},
  "rr_interval": {"unit": "s", "digits": 2},
  "oxygen_saturation": {"unit": "%", "digits": 0},
  "skin_temperature": {"unit": "°C", "digits": 1},
  "respiration_rate": {"unit": "/min", "digits": 0},
  "body_temperature": {"unit": "°C", "digits": 1},
  "skin_conductance": {"unit": "µS", "digits": 2},
  "blink_rate": {"unit": "/min", "digits": 1},
  "blink_duration": {"unit": "ms", "digits": 0},
  "body_motion": {"unit": "mg", "digits": 1}
 },
 "pose": ["yaw", "pitch", "roll"],
 "look": ["look_x", "look_y"],
 "face": {
  "leastPx": 24,
  "wantedPx": 48
 },
 "evidence": {
  "supports": [213, 94, 0],
  "against": [0, 114, 178]
 },
};
