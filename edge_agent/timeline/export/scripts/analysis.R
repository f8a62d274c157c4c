# Recompute the tests of the dashboard's Analysis page from the CSV files beside this script.
#
#     Rscript analysis.R [FOLDER] [--state condition|observed|reported] [--csv] ...      (--help names all options)
#     Rscript analysis.R --responses           the table responses.csv: curves around the starts of stimuli
#     Rscript analysis.R --coupling            the table coupling.csv: whether face and heart go together more than with others
#
# Needs base R, 4.1 or newer; the mixed model needs lmerTest. The readings are read in parts, so that a recording of a
# year needs no more memory than one of an hour. analysis.py runs the dashboard's own engine on the same files.
#
# The unit of every test is one participant. Readings are averaged within each session and state; a paired difference is
# the average of those within the sessions that have both states. Readings in doubt, those before the vital has settled
# in a stimulus, and what exclusion.csv leaves out count in no mean. All pairs of states of all vitals are one family,
# whose p values are adjusted together, unless --family declares others.
#
# Which result is told of two states follows from who was measured and when: the mixed model where somebody has several
# sessions or lacks a state; else the difference at equal times where order and state hang together; else the t-test.
# Equal times are equal places in the order of a session, or equal minutes where states come back or are observed. By
# observed emotion the means of a session are at equal times where its states took turns.

STATES <- c("neutral", "happiness", "anger")
EMOTIONS <- c("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
NEGATIVE <- c("sadness", "anger", "disgust", "fear", "contempt")  # subtracted from happiness in the derived valence
NUMBER_WORDS <- c("one", "two", "three", "four", "five", "six")
SCALE <- sqrt(2) / 2  # of the Cauchy distribution of the effect, for Bayes factors
FAR <- 40             # e-folds beyond which nothing of the integral of a Bayes factor is left
# readings with these flags count in no mean unless they are asked for
DOUBTS <- c("out_of_range", "contact_lost", "estimated", "clock_differs", "poor_signal", "artefact")
MINIMUM <- 3       # fewest pairs, or people in each group
UNEVEN_ORDER <- 0.2  # share of more people who met one of two states by some place (without places: mean minutes
                     # between the two, over their root mean square), from which on the order matters
UNEVEN_READINGS <- 3  # readings a mean in one state over those in another, from which on no mixed model is told
AMONG <- 2          # standard deviations within states that the mean times of two states met among each other are apart
TOLD_APART <- 0.1  # least share of the spread of minutes within sessions that the states do not give
MOST <- 10000      # people beyond which no study is planned
EMPTY <- 1e-5       # standard deviations over that of the rest below which there is no variance between people
EXACT_RANKS <- 50  # differences up to which the distribution of a rank sum is counted, above it is taken for normal
EXACT_SPLITS <- 5000  # the same, people of the smaller group times those of both groups
PART <- 100000     # readings in memory at a time
MINUS <- "\u2212"
RAISED <- setNames(
  c("\u207b", "\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074", "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"),
  c("-", 0:9)
)

# --- What is asked ---------------------------------------------------------------------------------------------------

CHOICES <- list(
  state = c("condition", "observed", "reported"), sample = c("auto", "measured", "example"),
  design = c("auto", "paired", "independent"), correction = c("holm", "benjamini_hochberg"), count_flagged = DOUBTS,
  outcome = c("level", "change")
)
DEFAULTS <- list(
  state = "condition", sample = "auto", design = "auto", correction = "holm", bound_heart_rate = 5, bound_pressure = 5,
  leave_out_flagged = FALSE, estimated = FALSE, csv = FALSE, outcome = "level", heart = FALSE, skin = FALSE,
  count_unknown = FALSE, responses = FALSE, before = 5, after = 30, coupling = FALSE, measure = "valence"
)
MEASURED <- list(heart = "Intervals between beats", skin = "Responses of skin conductance")
NUMERIC <- c("session", "bound_heart_rate", "bound_pressure", "settling_heart_rate", "settling_pressure", "settling_other", "before", "after", "lag")
REPEATED <- c("vital", "session", "count_flagged", "prefer_source", "states", "family")

refuse <- function(...) {
  message(...)
  quit(status = 2)
}

own_folder <- function() {
  file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
  if (length(file)) dirname(file[1]) else "."
}

# The brackets, commas, colons and values of a file of JSON.
tokens_of <- function(path) {
  text <- paste(readLines(path, encoding = "UTF-8", warn = FALSE), collapse = " ")
  shape <- '"(?:[^"\\\\]++|\\\\.)*+"|[][{},:]|[^][{},:"[:space:]]+'
  regmatches(text, gregexpr(shape, text, perl = TRUE))[[1]]
}

unquoted <- function(token) gsub("\\\\(.)", "\\1", sub('^"(.*)"$', "\\1", token))

# A file of JSON as lists.
json_of <- function(path) {
  tokens <- tokens_of(path)
  place <- 0
  following <- function() {
    place <<- place + 1
    if (place > length(tokens)) damaged(path, "it is cut off")
    tokens[place]
  }
  value <- function(token = following()) {
    found <- list()
    if (token == "{") {
      while ((name <- following()) != "}") if (name != ",") {
        following()  # the colon
        found[unquoted(name)] <- list(value())
      }
    } else if (token == "[") {
      while ((one <- following()) != "]") if (one != ",") found <- c(found, list(value(one)))
    } else if (token == "null") {
      found <- NULL
    } else if (token %in% c("true", "false")) {
      found <- token == "true"
    } else {
      found <- if (startsWith(token, '"')) unquoted(token) else numbers(path, "a value", token)
    }
    found
  }
  value()
}

# The question that went with the export, whose options hold where no others are given; empty without one. The file is
# one JSON object of texts, numbers, truth values, and lists of them.
exported <- function(folder) {
  path <- file.path(folder, "question.json")
  if (!file.exists(path)) return(list())
  tokens <- tokens_of(path)
  if (!identical(tail(tokens, 1), "}")) damaged(path, "it is cut off")
  found <- list()
  name <- NULL
  for (place in seq_along(tokens)) {
    token <- tokens[place]
    if (token %in% c("{", "}", "[", "]", ",", ":", "null")) next
    value <- unquoted(token)
    if (place < length(tokens) && tokens[place + 1] == ":") name <- value
    else if (is.null(name)) damaged(path, "holds no question")
    else if (name %in% NUMERIC && name != "session") found[[name]] <- numbers(path, name, value)
    else if (token %in% c("true", "false")) found[[name]] <- token == "true"
    else found[[name]] <- c(found[[name]], value)
  }
  if (identical(found$sample, "selected")) found$sample <- NULL
  else found$session <- NULL
  if (length(found)) for (name in names(MEASURED)) {
    found[[name]] <- file.exists(file.path(folder, paste0(name, "_measure.csv")))
  }
  found
}

asked_for <- function(words) {
  Encoding(words) <- "UTF-8"
  asked <- list()
  while (length(words)) {
    name <- gsub("-", "_", sub("^--", "", words[1]))
    if (!startsWith(words[1], "--")) {
      asked$folder <- words[1]
      words <- words[-1]
    } else if (name %in% c("leave_out_flagged", "estimated", "count_unknown", "csv", "heart", "skin", "responses", "coupling")) {
      asked[[name]] <- TRUE
      words <- words[-1]
    } else if (name %in% c(names(CHOICES), NUMERIC, "vital", "prefer_source", "states", "family", "measure")) {
      value <- if (length(words) > 1) words[2] else ""
      if (name %in% names(CHOICES) && !value %in% CHOICES[[name]]) {
        refuse("--", name, " ", value, ": choose one of ", paste(CHOICES[[name]], collapse = ", "), ".")
      }
      if (name %in% NUMERIC && is.na(suppressWarnings(as.numeric(value)))) {
        refuse("--", name, " ", value, ": give a number.")
      }
      if (name %in% REPEATED) asked[[name]] <- c(asked[[name]], value)
      else asked[[name]] <- if (name %in% NUMERIC) as.numeric(value) else value
      words <- words[-(1:2)]
    } else {
      if (name != "help") message(words[1], ": there is no such option.")
      message("Options: FOLDER --state --sample --session N --vital --design --correction --bound-heart-rate X ",
              "--bound-pressure X --settling-heart-rate X --settling-pressure X --settling-other X --count-flagged FLAG ",
              "--count-unknown --prefer-source NAME --leave-out-flagged --estimated --states LABEL --family TESTS --outcome level|change --heart --skin --csv --responses --before S --after S ",
              "--coupling --measure KIND --lag S; see the head of this file and README.md.")
      quit(status = if (name == "help") 0 else 2)
    }
  }
  if (is.null(asked$folder)) asked$folder <- own_folder()
  asked$named <- length(asked$vital) > 0
  asked$typed <- asked[c("states", "prefer_source")]
  question <- exported(asked$folder)
  if (length(c(asked$session, asked$sample))) question[c("session", "sample")] <- NULL  # each of them replaces both
  asked <- modifyList(modifyList(DEFAULTS, question), asked)
  if (asked$leave_out_flagged && length(setdiff(asked$count_flagged, "estimated"))) {
    refuse("--leave-out-flagged contradicts --count-flagged.")
  }
  if (asked$estimated) asked$count_flagged <- c(asked$count_flagged, "estimated")
  with_states(asked)
}

# Say which values of an option no data have, beside the answer.
say_unmet <- function(option, values, there, same = identity) {
  for (value in unique(values[!same(values) %in% same(there)])) {
    known <- paste(sort(unique(there), method = "radix"), collapse = ", ")
    message(value, ", given with ", option, ", met nothing", if (nzchar(known)) ". There is: " else ": there is none here", known, ".")
  }
}

# The states that are compared, as they are shown, by their labels in lower case; and each pair of them, later minus
# earlier, those with the first state first.
with_states <- function(asked) {
  if (is.null(asked$states)) asked$states <- STATES
  labels <- tolower(trimws(asked$states))
  if (length(labels) < 2 || length(labels) > length(NUMBER_WORDS) || anyDuplicated(labels)) {
    refuse("--states: give two to six different ones.")
  }
  asked$states <- setNames(ifelse(labels %in% EMOTIONS, labels, trimws(asked$states)), labels)
  for (earlier in seq_along(labels)) for (later in rev(seq_along(labels))) {
    if (later > earlier) asked$pairs <- c(asked$pairs, list(unname(asked$states[c(later, earlier)])))
  }
  asked
}

# The number of the declared family of each test, by name and two states: such as "heart_rate", "systolic, diastolic" or
# "all: anger, neutral"; parts of one family are divided by semicolons.
families_of <- function(asked, names) {
  found <- integer()
  for (number in seq_along(asked$family)) {
    text <- asked$family[number]
    for (part in strsplit(text, ";", fixed = TRUE)[[1]]) {
      cut <- regexpr(":", part, fixed = TRUE)
      left <- if (cut > 0) substr(part, 1, cut - 1) else part
      right <- if (cut > 0) substr(part, cut + 1, nchar(part)) else ""
      words <- function(text) tolower(trimws(strsplit(text, ",", fixed = TRUE)[[1]]))
      wanted <- words(left)
      if (identical(wanted, "all")) wanted <- asked$vital
      labels <- setdiff(words(right), "")
      own <- if (length(labels)) asked$states[names(asked$states) %in% labels] else asked$states
      if (!length(wanted) || length(setdiff(wanted, names)) || length(setdiff(labels, names(asked$states))) || length(own) < 2) {
        refuse("--family ", text, ": there is no such test.")
      }
      for (name in wanted) for (pair in asked$pairs) if (all(pair %in% own)) {
        key <- paste(c(name, pair), collapse = "\r")
        if (!is.na(found[key]) && found[key] != number) refuse("--family ", text, ": a test is in two families.")
        found[key] <- number
      }
    }
  }
  found
}

# The family of each test; 0 for those in none.
family_numbers <- function(tests, families) {
  vapply(tests, function(test) {
    number <- families[paste(c(test$vital, test$first, test$second), collapse = "\r")]
    if (is.na(number)) 0L else as.integer(number)
  }, 0L)
}

# The vitals that are tested, in the order of the page, with the titles, bounds and settling times of vital_kind.csv.
with_kinds <- function(asked) {
  kinds <- read_table(asked$folder, "vital_kind")
  kinds <- kinds[kinds$bound != "", ]
  for (vital in setdiff(asked$vital, kinds$kind)) {
    refuse("--vital ", vital, ": choose one of ", paste(kinds$kind, collapse = ", "), ".")
  }
  wanted <- if (is.null(asked$vital)) kinds$kind[kinds$default == "1"] else asked$vital
  asked$vital <- kinds$kind[kinds$kind %in% wanted]
  asked$tables <- setNames(kinds$table, kinds$kind)
  refuse_circular(asked)
  asked$titles <- setNames(paste0(kinds$label, ", ", kinds$unit_shown), kinds$kind)
  asked$options <- setNames(kinds$option, kinds$kind)
  asked$units <- setNames(kinds$unit_shown, kinds$kind)
  asked$bounds <- setNames(as.numeric(kinds$bound), kinds$kind)
  asked$bounds[kinds$option == "heart_rate"] <- asked$bound_heart_rate
  asked$bounds[kinds$option == "pressure"] <- asked$bound_pressure
  asked$lags_s <- setNames(as.numeric(kinds$lag_s), kinds$kind)
  asked$settling_ms <- setNames(1000 * as.numeric(kinds$settling_s), kinds$kind)
  asked$settling_by_default <- setNames(as.numeric(kinds$settling_s), kinds$kind)
  asked$vital_by_default <- kinds$kind[kinds$default == "1"]
  for (option in c("heart_rate", "pressure", "other")) {
    seconds <- asked[[paste0("settling_", option)]]
    of <- kinds$option == (if (option == "other") "" else option)
    if (!is.null(seconds)) asked$settling_ms[of] <- round(1000 * seconds)
  }
  asked$settling_ms[kinds$table == "self_report"] <- 0  # a rating is of the whole stimulus
  asked
}

# What comes from where the states come from would be compared with itself.
refuse_circular <- function(asked) {
  of_face <- asked$vital[asked$tables[asked$vital] %in% c("expression", "movement")]
  rated <- asked$vital[asked$tables[asked$vital] == "self_report"]
  if (isTRUE(asked$count_unknown) && asked$state == "observed") {
    refuse("The states of vital.csv were observed in the participant's own rows; count_unknown needs analysis.py.")
  }
  if (length(of_face) && asked$state == "observed") {
    refuse(
      of_face[1], " by observed emotions would be circular: both are read from the same pictures of the face; ",
      "choose --state condition or reported."
    )
  }
  if (length(rated) && asked$state == "reported") {
    refuse(
      rated[1], " by reported emotions would be circular: both are what the participant said of the same stimulus; ",
      "choose --state condition."
    )
  }
  if (length(rated) && asked$state == "observed") {
    refuse(
      rated[1], " is said of a whole stimulus and has no window of the face before it; choose --state condition."
    )
  }
}

# --- Reading ---------------------------------------------------------------------------------------------------------

file_of <- function(folder, name) {
  path <- file.path(folder, paste0(name, ".csv"))
  if (!file.exists(path)) refuse(path, ": no such file. Unpack the whole zip, then run the script in its folder.")
  path
}

COLUMNS <- list(
  vital_kind = c("kind", "label", "unit_shown", "bound", "option", "default", "settling_s", "table", "lag_s"),
  exclusion = c("session", "start_at", "start_ms", "end_at", "end_ms", "reason"),
  own_neutral = c("session", "state", "start_ms", "end_ms", "applied_ms", "until_ms", "uncertain_below"),
  session = c("session", "participant", "simulated", "start_ms", "end_ms", "origin"), marker = c("session", "at_ms", "kind", "label"),
  self_report = c("session", "at_ms", "scale", "value"), attenuation = c("first", "second", "factor"),
  baseline = c("session", "kind", "source", "mean"),
  heart_measure = c("measure", "title", "participant", "session", "state", "value", "minutes"),
  skin_measure = c("measure", "title", "participant", "session", "state", "value", "minutes"),
  movement = c("session", "at_ms", "participant", "condition", "is_primary", "simulated", "source"),
  expression = c("session", "at_ms", "participant", "condition", "is_primary", "simulated", "emotion", EMOTIONS),
  vital = c("session", "at_ms", "value", "kind", "participant", "condition", "observed", "flags", "source")
)
CURE <- ". Unpack the whole zip again; a spreadsheet that saved the file may have changed it."

damaged <- function(path, ...) refuse(path, ": ", ..., CURE)

# A text as it was recorded: one that a spreadsheet would take for a formula stands behind one more apostrophe.
SIGNS <- c("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
recorded <- function(text) {
  quoted <- which(startsWith(text, "'"))
  guarded <- quoted[substr(text[quoted], 2, 2) %in% SIGNS]
  text[guarded] <- substring(text[guarded], 2)
  text
}

# Every row has all cells: a file that was cut off is no shorter file.
read_text <- function(path, source, ...) {
  stopped <- function(condition) damaged(path, conditionMessage(condition))
  table <- tryCatch(
    read.csv(source, colClasses = "character", na.strings = character(), fill = FALSE, ...),
    error = stopped, warning = stopped
  )
  table[] <- lapply(table, recorded)
  table
}

check_heads <- function(path, name, heads) {
  missing <- setdiff(COLUMNS[[name]], heads)
  if (length(missing)) damaged(path, "there is no column ", paste(missing, collapse = ", "))
}

numbers <- function(path, column, texts) {
  values <- suppressWarnings(as.numeric(texts))
  wrong <- which(!is.finite(values) & !(column == "session" & texts == ""))
  if (length(wrong)) damaged(path, column, " is '", texts[wrong[1]], "', which is no number")
  values
}

read_table <- function(folder, name) {
  path <- file_of(folder, name)
  table <- read_text(path, path, encoding = "UTF-8")
  check_heads(path, name, names(table))
  whole <- if (name == "session") "start_ms"
  for (column in intersect(c("session", "at_ms", "factor", "mean", whole), COLUMNS[[name]])) {
    numbers(path, column, table[[column]])
  }
  table
}

# Stimuli in order of time, with the emotion that was reported of each: the last report before the next stimulus.
read_stimuli <- function(folder) {
  marker <- read_table(folder, "marker")
  stimuli <- marker[marker$kind == "stimulus_start", c("session", "at_ms", "label")]
  stimuli$at_ms <- as.numeric(stimuli$at_ms)
  stimuli <- stimuli[order(stimuli$session, stimuli$at_ms), ]
  stimuli$reported <- rep("", nrow(stimuli))
  report <- read_table(folder, "self_report")
  report <- report[report$scale == "emotion", ]
  for (i in seq_len(nrow(report))) {
    before <- which(stimuli$session == report$session[i] & stimuli$at_ms <= as.numeric(report$at_ms[i]))
    if (length(before)) stimuli$reported[max(before)] <- report$value[i]
  }
  stimuli
}

state_of <- function(part, stimuli, by, states) {
  label <- if (by == "observed") part$observed else part$condition
  if (by == "reported") {
    for (i in which(label != "")) {
      before <- which(stimuli$session == part$session[i] & stimuli$at_ms <= part$at_ms[i])
      label[i] <- stimuli$reported[max(before)]
    }
  }
  label <- tolower(trimws(label))
  ifelse(label %in% names(states), states[label], "")
}

# Whether each reading was taken long enough after its stimulus began.
has_settled <- function(part, stimuli, asked) {
  if (asked$state == "observed") return(rep(TRUE, nrow(part)))
  begun <- rep(-Inf, nrow(part))
  for (session in unique(part$session)) {
    starts <- stimuli$at_ms[stimuli$session == session]
    own <- which(part$session == session)
    place <- findInterval(part$at_ms[own], starts)
    begun[own[place > 0]] <- starts[place]
  }
  part$at_ms >= begun + asked$settling_ms[part$kind]
}

# The number as which each state of a session first came, whatever else was met: equal places are equal times. None by
# observed emotion, where most sessions have a state that comes back, and where times were made up.
places_of <- function(stimuli, asked, ids) {
  stimuli <- stimuli[stimuli$session %in% intersect(ids, asked$measured), ]
  none <- data.frame(session = character(), state = character(), place = numeric())
  if (asked$state == "observed" || !nrow(stimuli)) return(none)
  is_said <- asked$state == "reported" & stimuli$reported != ""
  label <- tolower(trimws(ifelse(is_said, stimuli$reported, stimuli$label)))
  is_tested <- (is_said | asked$state == "condition") & label %in% names(asked$states)
  met <- split(ifelse(is_tested, asked$states[label], paste(ifelse(is_said, "", "condition"), label)), stimuli$session)
  tested <- lapply(met, function(names) names[names %in% asked$states])
  tested <- Filter(function(names) length(unique(names)) > 1, tested)
  back <- vapply(tested, function(names) length(rle(names)$lengths) > length(unique(names)), TRUE)
  if (2 * sum(back) > length(tested)) return(none)
  do.call(rbind, lapply(names(met), function(session) {
    names <- unique(met[[session]])
    data.frame(session = rep(session, length(names)), state = names, place = seq_along(names))
  }))
}

# The means, or measures, with the place of their state; 0 where none is known.
with_places <- function(means, places) {
  place <- places$place[match(paste(means$session, means$state), paste(places$session, places$state))]
  means$place <- ifelse(is.na(place), 0, place)
  means
}

# Sums and numbers of readings by measure, state, participant and session; then their means.
read_means <- function(folder, asked, ids, stimuli) {
  own <- split(asked$vital, asked$tables[asked$vital])
  readings <- list(
    vital = identity,
    movement = function(part) moved_in(part, own$movement, asked),
    expression = function(part) shown_in(part, own$expression, asked)
  )
  values <- NULL
  for (name in intersect(names(readings), names(own))) {
    values <- rbind(values, read_readings(folder, name, asked, ids, stimuli, readings[[name]]))
  }
  values <- rbind(values, rated_in(folder, own$self_report, asked, ids, stimuli))
  if (is.null(values) || !nrow(values)) return(NULL)
  say_unmet("--prefer-source", asked$typed$prefer_source, values$source)
  values <- of_one_source(summed(values), asked$prefer_source)
  values <- values[values$n > 0, ]
  if (!nrow(values)) return(NULL)
  values$mean <- values$value / values$n
  values$minutes <- values$minutes / values$n
  if (asked$outcome == "change") values <- less_baseline(values, asked$folder)
  if (asked$state == "observed" && !is.null(values)) at_one_time(values, asked$measured) else values
}

# The means of each session of times that were measured at the mean time of its readings, where each two of its states
# took turns: least squares of value by state and minutes, lm(value ~ 0 + state + minutes), whose normal
# equations need the sums alone.
at_one_time <- function(values, measured) {
  values <- values[order(values$kind, values$session, values$state), ]
  for (rows in split(seq_len(nrow(values)), paste(values$kind, values$session))) {
    own <- values[rows, ]
    middle <- weighted.mean(own$minutes, own$n)
    squares <- sum(own$squares) - sum(own$n) * middle^2
    late <- own$minutes - middle
    variance <- pmax(0, own$squares / own$n - own$minutes^2)
    among <- outer(late, late, "-")^2 <= AMONG^2 * outer(variance, variance, "+") / 2
    if (length(rows) < 2 || !all(among) || sum(own$n * variance) <= 1e-9 * sum(own$squares)) next
    if (!own$session[1] %in% measured) next
    products <- sum(own$products) - middle * sum(own$n * own$mean)
    left <- rbind(cbind(diag(own$n), own$n * late), c(own$n * late, squares))
    values$mean[rows] <- solve(left, c(own$n * own$mean, products))[seq_along(rows)]
    values$minutes[rows] <- middle
  }
  values
}

# The rows of faces that count as the participant's; where it is asked for, those of which that is not known, too.
counted_in <- function(part, asked) {
  is_unknown <- isTRUE(asked$count_unknown) & rep_len(part$attribution %in% "unknown", nrow(part))
  part[part$is_primary == "1" | is_unknown, ]
}

# The movements of the participant's face as readings, one for each row and movement, in points (0 to 100) or degrees.
moved_in <- function(part, kinds, asked) {
  part <- counted_in(part, asked)
  one <- data.frame(
    session = part$session, at_ms = part$at_ms, participant = part$participant, condition = part$condition,
    flags = ifelse(part$simulated == "1", "simulated", ""), source = ifelse(part$source == "", "face", part$source)
  )
  readings <- lapply(kinds, function(kind) {
    told <- part[[kind]] != ""
    value <- numbers("movement.csv", kind, part[[kind]][told]) * (if (asked$units[[kind]] == "points") 100 else 1)
    cbind(one[told, ], kind = rep(kind, sum(told)), value = value)
  })
  do.call(rbind, readings)
}

# The expressions of the participant's face as readings, in points: probabilities, valence, and whether a row's label is
# an emotion. Where labels were shifted by an own neutral, the label is that of the largest mean, if it reaches the
# classifier's threshold.
shown_in <- function(part, kinds, asked) {
  part <- counted_in(part, asked)
  one <- data.frame(
    session = part$session, at_ms = part$at_ms, participant = part$participant, condition = part$condition,
    flags = ifelse(part$simulated == "1", "simulated", ""), source = rep("face", nrow(part))
  )
  means <- vapply(EMOTIONS, function(name) numbers("expression.csv", name, part[[name]]), numeric(nrow(part)))
  means <- matrix(means, nrow(part), dimnames = list(NULL, EMOTIONS))
  label <- part$emotion
  at_ms <- numbers("expression.csv", "at_ms", part$at_ms)
  for (i in which(asked$calibrating$applied_ms != "" & any(startsWith(kinds, "labelled_")))) {
    shift <- asked$calibrating[i, ]
    until <- if (shift$until_ms == "") Inf else as.numeric(shift$until_ms)
    for (row in which(part$session == shift$session & at_ms >= as.numeric(shift$applied_ms) & at_ms < until)) {
      sure <- max(means[row, ]) >= ceiling(1000 * as.numeric(shift$uncertain_below))
      label[row] <- if (sure) EMOTIONS[which.max(means[row, ])] else "uncertain"
    }
  }
  readings <- lapply(kinds, function(kind) {
    if (startsWith(kind, "labelled_")) value <- 100 * (label == sub("labelled_", "", kind))
    else if (kind == "valence") value <- (means[, "happiness"] - rowSums(means[, NEGATIVE, drop = FALSE])) / 10
    else value <- means[, kind] / 10
    cbind(one, kind = rep(kind, nrow(part)), value = value)
  })
  do.call(rbind, readings)
}

# The last rating of each stimulus, in it or after it and before the next, as a sum of one. A stimulus that is left out
# from its start to its end has none.
rated_in <- function(folder, kinds, asked, ids, stimuli) {
  if (!length(kinds)) return(NULL)
  report <- read_table(folder, "self_report")
  session <- read_table(folder, "session")
  marker <- read_table(folder, "marker")
  marker <- marker[marker$kind %in% c("stimulus_start", "stimulus_end"), ]
  stretches <- rbind(asked$excluded[c("session", "start_ms", "end_ms")], asked$calibrating[c("session", "start_ms", "end_ms")])
  values <- NULL
  for (i in which(stimuli$session %in% ids)) {
    number <- stimuli$session[i]
    began <- stimuli$at_ms[i]
    state <- asked$states[tolower(trimws(stimuli$label[i]))]
    if (is.na(state)) next
    following <- stimuli$at_ms[stimuli$session == number & stimuli$at_ms > began]
    last <- suppressWarnings(as.numeric(session$end_ms[session$session == number]))
    edges <- as.numeric(marker$at_ms[marker$session == number])
    if (!any_outside(began, min(c(edges[edges > began], last), na.rm = TRUE), stretches[stretches$session == number, ])) next
    at_ms <- as.numeric(report$at_ms)
    inside <- report$session == number & at_ms >= began & at_ms < min(c(following, Inf))
    for (kind in kinds) {
      of <- which(inside & report$scale == sub("sam_", "", kind))
      if (!length(of)) next
      row <- of[order(at_ms[of])][length(of)]
      minutes <- (at_ms[row] - asked$starts[[number]]) / 60000
      value <- numbers("self_report.csv", "value", report$value[row])
      values <- rbind(values, data.frame(
        kind = kind, state = unname(state), participant = session$participant[session$session == number], session = number,
        source = "self-report", value = value, minutes = minutes, squares = minutes^2, products = minutes * value,
        n = 1, sound = 1, every = 1
      ))
    }
  }
  values
}

# Whether any part of a stimulus lies in no stretch that is left out.
any_outside <- function(first, last, stretches) {
  stretches <- stretches[stretches$start_ms != "", ]
  for (i in order(as.numeric(stretches$start_ms))) {
    if (as.numeric(stretches$start_ms[i]) > first) break
    first <- max(first, as.numeric(stretches$end_ms[i]))
  }
  first < last
}

# The sums of one file; `readings_of` turns a part of it into readings.
read_readings <- function(folder, name, asked, ids, stimuli, readings_of) {
  path <- file_of(folder, name)
  connection <- file(path, "r")
  on.exit(close(connection))
  heads <- unlist(strsplit(readLines(connection, 1), ","))
  check_heads(path, name, heads)
  left_out <- setdiff(DOUBTS, asked$count_flagged)
  values <- NULL
  while (length(line <- readLines(connection, 1))) {
    pushBack(line, connection)
    part <- readings_of(read_text(path, connection, header = FALSE, nrows = PART, col.names = heads, encoding = "UTF-8"))
    numbers(path, "session", part$session)
    for (column in c("at_ms", "value")) part[[column]] <- numbers(path, column, part[[column]])
    part <- part[part$session %in% ids & part$kind %in% asked$vital & !in_stretch(part, asked$excluded) &
      !in_stretch(part, asked$calibrating), ]
    if (nrow(part)) {
      part$state <- state_of(part, stimuli, asked$state, asked$states)
      out <- vapply(strsplit(part$flags, " "), function(flags) any(flags %in% left_out), TRUE)
      doubt <- vapply(strsplit(part$flags, " "), function(flags) any(flags %in% DOUBTS), TRUE)
      part$value[out] <- 0
      part$minutes <- ifelse(out, 0, (part$at_ms - asked$starts[part$session]) / 60000)
      part$squares <- part$minutes^2
      part$products <- part$minutes * part$value
      part$n <- as.numeric(!out)
      part$sound <- as.numeric(!doubt)
      part$every <- rep(1, nrow(part))
      inside <- part$state != "" & has_settled(part, stimuli, asked)
      part <- part[inside, c("kind", "state", "participant", "session", "source", SUMS)]
      values <- rbind(values, part)
      if (nrow(values) > PART) values <- summed(values)
    }
  }
  values
}

# Whether each reading lies in a stretch that somebody left out of the analysis, or in a baseline that calibrated a session.
in_stretch <- function(part, excluded) {
  inside <- rep(FALSE, nrow(part))
  for (i in which(excluded$start_ms != "")) {
    own <- part$session == excluded$session[i]
    inside <- inside | (own & part$at_ms >= as.numeric(excluded$start_ms[i]) & part$at_ms < as.numeric(excluded$end_ms[i]))
  }
  inside
}

# The sessions of which not all is left out.
without_whole <- function(ids, excluded) setdiff(ids, excluded$session[excluded$start_ms == ""])

# Says what somebody left out of the sessions that were taken: sessions and stretches with one reason together.
excluded_lines <- function(ids, excluded) {
  own <- excluded[excluded$session %in% ids, ]
  reasons <- own$reason
  alike <- paste(own$start_ms == "", reasons)
  vapply(unique(alike), function(one) {
    of <- own[alike == one, ]
    sessions <- length(unique(of$session))
    what <- if (nrow(of) == 1) {
      paste0("session ", of$session, if (of$start_ms != "") paste0(" from ", of$start_at, " to ", of$end_at))
    } else if (of$start_ms[1] == "") {
      sprintf("%d sessions", sessions)
    } else {
      sprintf("%d stretches of %d session%s", nrow(of), sessions, if (sessions == 1) "" else "s")
    }
    sprintf("left out: %s (%s)", what, reasons[alike == one][1])
  }, "", USE.NAMES = FALSE)
}

# Means less those at rest of the same session and source; without one a session counts in nothing.
less_baseline <- function(values, folder) {
  rest <- read_table(folder, "baseline")
  place <- match(paste(values$kind, values$session, values$source), paste(rest$kind, rest$session, rest$source))
  values$mean <- values$mean - as.numeric(rest$mean)[place]
  values$products <- values$products - as.numeric(rest$mean)[place] * values$n * values$minutes
  values <- values[!is.na(place), ]
  if (nrow(values)) values else NULL
}

# The value of each state of each session of each measure of the beats ("heart") or of skin conductance ("skin").
read_measured <- function(folder, name) {
  name <- paste0(name, "_measure")
  table <- read_table(folder, name)
  data.frame(
    kind = table$measure, title = table$title, state = table$state, participant = table$participant,
    session = table$session, mean = numbers(paste0(name, ".csv"), "value", table$value),
    minutes = numbers(paste0(name, ".csv"), "minutes", table$minutes)
  )
}

# By how much misread faces may shrink the difference of two states, at the worst: 1 where states are not observed, or
# where no card says so.
read_factors <- function(asked) {
  if (asked$state != "observed" || !file.exists(file.path(asked$folder, "attenuation.csv"))) return(numeric())
  table <- read_table(asked$folder, "attenuation")
  setNames(as.numeric(table$factor), paste(table$first, table$second, sep = "\n"))
}

SUMS <- c("value", "minutes", "squares", "products", "n", "sound", "every")

summed <- function(values) {
  aggregate(values[SUMS], values[c("kind", "state", "participant", "session", "source")], sum)
}

# Where several sources measured a vital in a session, the one that counts: the first that is preferred; else the one
# with the most readings without doubt, then with the most.
of_one_source <- function(values, preferred) {
  sources <- aggregate(cbind(sound, every) ~ kind + session + source, values, sum)
  rank <- match(sources$source, preferred, nomatch = length(preferred) + 1)
  sources <- sources[order(rank, -sources$sound, -sources$every, sources$source, method = "radix"), ]
  best <- sources[!duplicated(paste(sources$kind, sources$session)), ]
  values[paste(values$kind, values$session, values$source) %in% paste(best$kind, best$session, best$source), ]
}

# A vital's means, or their minutes in the session, as a table: a row for each session, a column for each state; NA
# where a session has not got it.
visits_of <- function(means, vital, states, column = "mean") {
  own <- means[means$kind == vital, ]
  visit <- paste(own$session, own$participant)
  table <- matrix(NA_real_, length(unique(visit)), length(states), dimnames = list(unique(visit), states))
  table[cbind(visit, own$state)] <- own[[column]]
  list(participant = own$participant[match(rownames(table), visit)], table = table)
}

# Averages sessions of each participant, each with the same weight, in order of the participants' codes.
averaged <- function(visits, rows, state) {
  if (!any(rows)) return(setNames(numeric(), character()))
  means <- tapply(visits$table[rows, state], visits$participant[rows], mean)
  setNames(as.vector(means), names(means))
}

# Who has both states in a session is averaged over such sessions; who has one, over all sessions with it. Who has both
# but never in one session is on neither side.
sides <- function(visits, pair) {
  has <- !is.na(visits$table[, pair, drop = FALSE])
  both <- has[, 1] & has[, 2]
  whole <- visits$participant %in% visits$participant[both]
  apart <- setdiff(
    intersect(visits$participant[has[, 1]], visits$participant[has[, 2]]), visits$participant[both]
  )
  rest <- !whole & !visits$participant %in% apart
  list(
    one = averaged(visits, both | rest & has[, 1], pair[1]), two = averaged(visits, both | rest & has[, 2], pair[2]),
    apart = length(apart)
  )
}

choose <- function(asked) {
  session <- read_table(asked$folder, "session")
  stimuli <- asked$stimuli <- read_stimuli(asked$folder)
  asked$excluded <- read_table(asked$folder, "exclusion")
  own <- read_table(asked$folder, "own_neutral")
  asked$calibrating <- own[own$state == "calibrated", ]
  asked$starts <- setNames(as.numeric(session$start_ms), session$session)
  # Nothing is read from times that were never measured.
  measured <- asked$measured <- session$session[!endsWith(session$origin, "(times made up)")]
  if (!is.null(asked$session)) {
    for (number in setdiff(asked$session, session$session)) {
      there <- if (nrow(session)) paste(session$session, collapse = ", ") else "none"
      refuse("There is no session ", number, ". Sessions: ", there, ".")
    }
    ids <- without_whole(asked$session, asked$excluded)
    means <- read_means(asked$folder, asked, ids, stimuli)
    lines <- excluded_lines(asked$session, asked$excluded)
    return(list(sample = "selected", asked = asked, ids = ids, means = means, excluded = lines, timed = any(ids %in% measured)))
  }
  for (sample in if (asked$sample == "auto") c("measured", "example") else asked$sample) {
    ids <- session$session[session$simulated == (if (sample == "example") "1" else "0")]
    counted <- without_whole(ids, asked$excluded)
    means <- read_means(asked$folder, asked, counted, stimuli)
    if (!is.null(means) || !any(session$simulated == "1")) break
  }
  lines <- excluded_lines(ids, asked$excluded)
  list(sample = sample, asked = asked, ids = counted, means = means, excluded = lines, timed = any(counted %in% measured))
}

# --- Whether the question is the preregistered one -------------------------------------------------------------------

# The choices of a question, in order of the page. "estimated" and "leave_out_flagged" say what "count_flagged" says.
CHOSEN <- c(
  "state", "vital", "design", "correction", "bound_heart_rate", "bound_pressure", "settling_heart_rate",
  "settling_pressure", "settling_other", "window", "lag_heart_rate", "lag_pressure", "share", "heart_measure",
  "skin_measure", "scr_threshold", "outcome", "states", "group", "family", "sample", "session", "count_flagged",
  "count_unknown", "prefer_source"
)
LISTS <- c("vital", "heart_measure", "skin_measure", "states", "session", "count_flagged", "prefer_source")
BY_FACE <- c("window", "lag_heart_rate", "lag_pressure", "share")
BY_STIMULUS <- c("settling_heart_rate", "settling_pressure", "settling_other")
WINDOW_S <- 10  # where a question names none, as the least share
SHARE <- 0.6

# The newest preregistration that went with the export; NULL without one. R has no SHA-256 of its own: whether the text
# was changed after freezing is what the dashboard found when it wrote the files.
read_preregistration <- function(folder) {
  folder <- file.path(folder, "preregistrations")
  files <- list.files(folder, "^[0-9]+[.]json$")
  if (!length(files)) return(NULL)
  path <- file.path(folder, files[which.max(as.numeric(sub("[.]json$", "", files)))])
  found <- json_of(path)
  if (!is.list(found) || is.null(found$document$question) || is.null(found$at_ms)) damaged(path, "holds no preregistration")
  found
}

# A question in which what means the same is written the same, with what counts where it names nothing.
plain_question <- function(question, asked) {
  default <- c(DEFAULTS, list(
    states = STATES, heart_measure = "ln_rmssd", skin_measure = "scr_count", window = WINDOW_S, share = SHARE,
    vital = asked$vital_by_default, settling_heart_rate = asked$settling_by_default[["heart_rate"]],
    settling_pressure = asked$settling_by_default[["systolic"]], lag_heart_rate = asked$lags_s[["heart_rate"]],
    lag_pressure = asked$lags_s[["systolic"]]
  ))
  for (name in names(default)) if (is.null(question[[name]])) question[[name]] <- default[[name]]
  if (question$sample == "auto") question$sample <- "measured"
  flags <- c(unlist(question$count_flagged), if (isTRUE(question$estimated)) "estimated")
  question$count_flagged <- DOUBTS[DOUBTS %in% flags]
  question$session <- if (question$sample == "selected") sort(unique(as.numeric(unlist(question$session))))
  question
}

# A choice as analysis.py writes it.
choice_text <- function(question, name) {
  value <- unname(unlist(question[[name]]))
  if (name == "family") return(if (length(value)) paste(value, collapse = " / ") else "all tests together")
  if (!length(value)) return(if (name %in% c(LISTS, "group")) "none" else "each by its own")
  if (name == "session") value <- sprintf("%.0f", value)
  number <- suppressWarnings(as.numeric(value))
  if (!name %in% c(LISTS, "group") && !is.logical(value) && !anyNA(number)) value <- sprintf("%g", number)
  paste(value, collapse = ", ")
}

# The choices that change nothing of the answer to a question.
idle_in <- function(question, asked) {
  options <- asked$options[unlist(question$vital)]
  c(
    if (question$state == "observed") BY_STIMULUS else BY_FACE, if (!"heart_rate" %in% options) "bound_heart_rate",
    if (!"pressure" %in% options) c("bound_pressure", "settling_pressure", "lag_pressure")
  )
}

# Says whether the question is the preregistered one, and what differs.
preregistered_lines <- function(chosen, means, asked) {
  frozen <- read_preregistration(asked$folder)
  if (is.null(frozen)) return(NULL)
  now <- asked[setdiff(names(asked), "sample")]
  now$sample <- chosen$sample
  now <- plain_question(now, asked)
  before <- plain_question(frozen$document$question, asked)
  lines <- NULL
  differs <- function(name, decided, here) {
    lines <<- c(lines, sprintf("- %s: preregistered %s, here %s", name, decided, here))
  }
  # What an earlier release did not ask yet was not decided.
  decided <- c(names(before), "session")
  for (name in setdiff(intersect(CHOSEN, decided), intersect(idle_in(before, asked), idle_in(now, asked)))) {
    texts <- c(choice_text(before, name), choice_text(now, name))
    same <- if (name %in% c("states", "family")) tolower(texts) else texts
    if (same[1] != same[2]) differs(name, texts[1], texts[2])
  }
  people <- length(unique(means$participant))
  if (people != frozen$document$people) differs("people", sprintf("%g", frozen$document$people), people)
  earlier <- sum(asked$starts[as.character(chosen$ids)] < frozen$at_ms)
  if (earlier) differs("sessions_before", 0, sprintf("%d of %d", earlier, length(chosen$ids)))
  if (!isTRUE(frozen$intact)) differs("sha256", frozen$sha256, "of another text")
  name <- sprintf("Preregistration %g, frozen %s", frozen$id, frozen$at)
  if (is.null(lines)) paste0(name, ": followed.") else c(paste0(name, ": not followed."), lines)
}

# --- Statistics ------------------------------------------------------------------------------------------------------

NUMBERS <- c(
  "n_both", "left_out", "method", "n_first", "n_second", "difference", "low", "high", "t", "df", "p", "holm_p", "bh_p",
  "g", "g_low", "g_high", "rank", "equivalence", "needed", "rank_holm_p", "rank_bh_p", "equivalence_holm_p",
  "equivalence_bh_p", "needed_in_family", "log_bf"
)
# The result that is told of two states, by whichever analysis.
RESULT <- c(
  "by", "difference", "low", "high", "t", "df", "p", "adjusted_p", "n_first", "n_second", "conclusion"
)

# Paired where three people have both states in a session, else Welch where three on each side have only one.
compare <- function(vital, pair, means, asked) {
  found <- sides(visits_of(means, vital, asked$states), pair)
  one <- found$one
  two <- found$two
  both <- sort(intersect(names(one), names(two)))
  only <- list(sort(setdiff(names(one), names(two))), sort(setdiff(names(two), names(one))))
  test <- c(list(vital = vital, first = pair[1], second = pair[2]), setNames(rep(list(NA), length(NUMBERS)), NUMBERS))
  test <- c(test, list(shapiro = numeric(), strict = NA, strict_effect = NA, uneven = FALSE))
  test[c("equal", "model")] <- list(NO_ESTIMATE)
  test$n_both <- length(both)
  test$left_out <- test$n_first <- test$n_second <- 0
  test$method <- ""
  if (asked$design != "independent" && length(both) >= MINIMUM) {
    test$method <- "paired"
    test$left_out <- sum(lengths(only)) + found$apart
    only <- list(both, both)
  } else if (asked$design != "paired" && min(lengths(only)) >= MINIMUM) {
    test$method <- "Welch"
    test$left_out <- length(both) + found$apart
  } else {
    return(test)
  }
  a <- unname(one[only[[1]]])
  b <- unname(two[only[[2]]])
  test$n_first <- length(a)
  test$n_second <- length(b)
  # Where the values do not vary, what lies behind the 12th digit of the largest is rounding.
  largest <- max(abs(c(a, b)))
  digits <- if (largest > 0) 11 - floor(log10(largest)) else 11
  test$difference <- round(mean(a) - mean(b), digits) + 0
  bound <- if (vital %in% names(asked$bounds)) asked$bounds[[vital]] else NA
  factor <- asked$factors[paste(pair, collapse = "\n")]
  test <- filled(test, a, b, bound, if (is.na(factor)) bound else bound * unname(factor))
  if (test$method != "paired" || is.na(test$p) || !asked$timed || is.null(means$minutes)) return(test)
  times <- sides(visits_of(means, vital, asked$states, "minutes"), pair)
  gaps <- unname(times$one[both] - times$two[both])
  places <- place_columns(visits_of(means, vital, asked$states, "place"), pair, both)
  if (is.null(places)) at_equal_times(test, a, b, gaps, asked$state == "observed")
  else at_equal_places(test, a, b, gaps, places)
}

# A row for each of the people, a column for each place: 1 where the first state had it, -1 where the second, averaged
# over the sessions with both. Nothing where no place is known.
place_columns <- function(visits, pair, people) {
  both <- !is.na(visits$table[, pair[1]]) & !is.na(visits$table[, pair[2]])
  one <- visits$table[both, pair[1]]
  two <- visits$table[both, pair[2]]
  columns <- lapply(sort(setdiff(unique(c(one, two)), 0)), function(place) {
    as.vector(tapply((one == place) - (two == place), visits$participant[both], mean)[people])
  })
  if (length(columns)) do.call(cbind, columns)
}

NO_ESTIMATE <- list(difference = NA, low = NA, high = NA, t = NA, df = NA, p = NA, holm_p = NA, bh_p = NA)

# The difference at equal times in the session: where a line through the differences, by the minutes from the second
# state to the first, is at 0 minutes. Also whether order and state hang together, so that it is told first. There is
# none if nobody met the states the other way round, or nothing is left beside the line to judge it by. By observed
# emotion 0 minutes are those of means that are at equal times already.
at_equal_times <- function(test, a, b, gaps, observed) {
  gap <- mean(gaps)
  same_way <- sum(gaps * gap > 0)
  test$uneven <- abs(gap) > UNEVEN_ORDER * sqrt(mean(gaps^2)) && 2 * same_way - sum(gaps != 0) > 1
  both_ways <- min(gaps) < 0 && max(gaps) > 0 || observed && any(gaps == 0) && any(gaps != 0)
  if (length(gaps) < 4 || !both_ways) return(test)
  with_intercept(test, lm(a - b ~ gaps), c(a, b))
}

# The same at equal places in the order: the intercept of a regression of the differences on the places, which no change
# over the session that all people share can move. None if nobody met the states the other way round, or the places give
# the states.
at_equal_places <- function(test, a, b, gaps, places) {
  more <- max(abs(cumsum(colSums(places))))
  test$uneven <- more > (1 + 1e-9) * max(1, UNEVEN_ORDER * length(a))
  if (min(gaps) >= 0 || max(gaps) <= 0) return(test)
  own <- lm.fit(places, rep(1, length(a)))$residuals
  if (sum(own^2) <= 1e-9 * length(a)) return(test)
  fit <- lm(a - b ~ places)
  if (fit$df.residual < 2) test else with_intercept(test, fit, c(a, b))
}

with_intercept <- function(test, fit, values) {
  if (constant(residuals(fit), values)) return(test)
  row <- summary(fit)$coefficients["(Intercept)", ]
  ends <- confint(fit)["(Intercept)", ]
  test$equal[c("difference", "low", "high", "t", "df", "p")] <- list(
    row[[1]], ends[[1]], ends[[2]], row[[3]], fit$df.residual, row[[4]]
  )
  test
}

# A measure of the intervals between beats has no bounds; by observed emotion the strict one decides.
filled <- function(test, a, b, bound, strict) {
  paired <- test$method == "paired"
  if (if (paired) constant(a - b, c(a, b)) else constant(a, a) && constant(b, b)) return(test)
  found <- t.test(a, b, paired = paired)
  error <- unname(found$stderr)
  df <- unname(found$parameter)
  test$difference <- if (paired) unname(found$estimate) else mean(a) - mean(b)
  test$low <- found$conf.int[1]
  test$high <- found$conf.int[2]
  test$t <- unname(found$statistic)
  test$df <- df
  test$p <- found$p.value
  v <- var(a)
  w <- var(b)
  g_df <- if (paired) {
    (length(a) - 1) * (v + w)^2 / (v^2 + w^2 + 2 * cov(a, b)^2)            # Cousineau 2020
  } else {
    (v + w)^2 / (v^2 / (length(a) - 1) + w^2 / (length(b) - 1))            # Delacre et al. 2021
  }
  average <- sqrt((v + w) / 2)
  j <- exp(lgamma(g_df / 2) - lgamma((g_df - 1) / 2)) / sqrt(g_df / 2)      # Hedges 1981
  test$g <- j * test$difference / average
  test$g_low <- error / average * noncentrality(test$t, df, 0.975)
  test$g_high <- error / average * noncentrality(test$t, df, 0.025)
  test$shapiro <- if (paired) shapiro_p(a - b) else c(shapiro_p(a), shapiro_p(b))
  test$rank <- if (paired) signed_rank(a, b) else rank_sum(a, b)
  test$log_bf <- log_bayes_factor(test, a, b)
  if (is.na(bound)) return(test)
  # Two one-sided tests against both bounds (Schuirmann 1987).
  outside <- function(bound) max(
    t.test(a, b, paired = paired, mu = -bound, alternative = "greater")$p.value,
    t.test(a, b, paired = paired, mu = bound, alternative = "less")$p.value
  )
  test$equivalence <- outside(bound)
  test$strict <- outside(strict)
  spread <- if (paired) sd(a - b) else average
  test$strict_effect <- strict / spread
  test$needed <- people_needed(bound / spread, paired)
  test
}

# The logarithm of the JZS Bayes factor for a difference (Rouder et al. 2009), of groups from Student's t.
log_bayes_factor <- function(test, a, b) {
  if (test$method == "paired") return(log_factor(test$t, length(a), length(a) - 1))
  n <- length(a)
  m <- length(b)
  log_factor(unname(t.test(a, b, var.equal = TRUE)$statistic), n * m / (n + m), n + m - 2)
}

# The integral over the logarithm of the effect's variance, about the peak.
log_factor <- function(t, n, df) {
  without <- -(df + 1) / 2 * log1p(t^2 / df)
  density <- function(u) {
    x <- log(n) + u
    wider <- pmax(0, x) + log1p(exp(-abs(x)))
    likelihood <- -wider / 2 - (df + 1) / 2 * log1p(t^2 / df * exp(-wider))
    likelihood + log(SCALE) - log(2 * pi) / 2 - u / 2 - SCALE^2 / 2 * exp(-u) - without
  }
  low <- 2 * log(SCALE) - 2 * log(FAR)
  high <- 2 * log(SCALE) + log1p(t^2) + 2 * FAR
  coarse <- seq(low, high, length.out = 400)
  start <- coarse[which.max(density(coarse))]
  width <- coarse[2] - coarse[1]
  peak <- optimize(density, c(start - width, start + width), maximum = TRUE, tol = 1e-6)$maximum
  top <- density(peak)
  edges <- sort(unique(pmin(pmax(c(low, peak + c(-8, -4, -2, -1, 0, 1, 2, 4, 8, 16), high), low), high)))
  parts <- vapply(seq_along(edges)[-1], function(i) {
    integrate(function(u) exp(density(u) - top), edges[i - 1], edges[i], rel.tol = 1e-12, abs.tol = 0,
              subdivisions = 1000, stop.on.error = FALSE)$value
  }, 0)
  top + log(sum(parts))
}

constant <- function(values, scale) diff(range(values)) <= 64 * .Machine$double.eps * max(abs(scale))

# P(T <= t) of the noncentral t distribution, T = (Z + delta) / U with U = sqrt(chi2 / df): the integral over u > 0 of
# pnorm(t u - delta) times the density of U, cut where pnorm steps. R's own pt() ends at |delta| = 37.62.
noncentral_t <- function(t, df, delta) {
  constant_term <- log(2) + df / 2 * log(df / 2) - lgamma(df / 2)
  density <- function(u) pnorm(t * u - delta) * exp(constant_term + (df - 1) * log(u) - df * u^2 / 2)
  end <- 1 + 14 / sqrt(df)
  step <- if (t != 0) delta / t + c(-1, 0, 1) * 10 / abs(t) else 0
  cuts <- sort(unique(c(0, 1, end, pmin(pmax(step, 0), end))))
  sum(vapply(seq_along(cuts)[-1], function(i) {
    integrate(density, cuts[i - 1], cuts[i], rel.tol = 1e-11, abs.tol = 1e-13, subdivisions = 1000, stop.on.error = FALSE)$value
  }, 0))
}

noncentrality <- function(t, df, probability) {
  excess <- function(delta) noncentral_t(t, df, delta) - probability
  step <- 1 + abs(t) / sqrt(2 * df)
  low <- high <- t
  while (excess(low) < 0) low <- low - step
  while (excess(high) > 0) high <- high + step
  uniroot(excess, c(low, high), tol = 1e-11)$root
}

# The fewest pairs, or people in each group, with which a t-test at a level finds an effect with power 0.8.
people_needed <- function(effect, paired, alpha = 0.05) {
  power <- function(n) {
    df <- if (paired) n - 1 else 2 * n - 2
    shift <- effect * sqrt(if (paired) n else n / 2)
    limit <- qt(1 - alpha / 2, df)
    1 - noncentral_t(limit, df, shift) + noncentral_t(-limit, df, shift)
  }
  if (power(MOST) < 0.8) return(NA)
  low <- MINIMUM - 1
  high <- MINIMUM
  while (power(high) < 0.8) {
    low <- high
    high <- min(2 * high, MOST)
  }
  while (high - low > 1) {
    middle <- (low + high) %/% 2
    if (power(middle) >= 0.8) high <- middle else low <- middle
  }
  high
}

shapiro_p <- function(values) if (constant(values, values)) NA else shapiro.test(values / diff(range(values)))$p.value

# Exact up to 50 values, ties or not; differences of 0 are dropped.
signed_rank <- function(a, b) {
  rounded <- whole_units(a - b, c(a, b))
  differences <- rounded[rounded != 0]
  if (length(differences) > EXACT_RANKS) return(wilcox.test(differences, exact = FALSE, correct = TRUE)$p.value)
  ranks <- rank(abs(differences))
  two_tails(colSums(count_sums(ranks, length(ranks))), sum(ranks[differences > 0]))
}

rank_sum <- function(a, b) {
  both <- c(a, b)
  a <- whole_units(a, both)
  b <- whole_units(b, both)
  if (diff(range(a, b)) == 0) return(1)
  few <- min(length(a), length(b))
  if (few * length(both) > EXACT_SPLITS) return(wilcox.test(a, b, exact = FALSE, correct = TRUE)$p.value)
  ranks <- rank(c(a, b))
  own <- if (few == length(a)) ranks[seq_along(a)] else ranks[-seq_along(a)]
  two_tails(count_sums(ranks, few)[few + 1, ], sum(own))
}

# In whole units of the 12th digit of the largest value; the rest is rounding.
whole_units <- function(values, scale) round(values / 10^(floor(log10(max(abs(scale)))) - 11))

# Counts the subsets of up to so many ranks by size (rows) and by twice their sum (columns).
count_sums <- function(ranks, most) {
  doubled <- round(2 * ranks)
  size <- most + 1
  width <- sum(sort(doubled, decreasing = TRUE)[seq_len(most)]) + 1
  counts <- matrix(0, size, width)
  counts[1, 1] <- 1
  for (rank in doubled) {
    counts[2:size, (rank + 1):width] <- counts[2:size, (rank + 1):width] + counts[1:(size - 1), 1:(width - rank)]
  }
  counts
}

two_tails <- function(counts, total) {
  place <- round(2 * total) + 1
  min(1, 2 * min(sum(counts[1:place]), sum(counts[place:length(counts)])) / sum(counts))
}

# p adjusted within each declared family; tests that none names are one family together.
adjusted <- function(tests, families) {
  of <- family_numbers(tests, families)
  for (number in unique(of)) tests[of == number] <- adjusted_together(tests[of == number])
  tests
}

# t-tests, rank tests, equivalence tests, estimates at equal times and those of the mixed model, each adjusted as one
# family; then the people that its smallest p asks for.
adjusted_together <- function(tests) {
  for (part in c("equal", "model")) {
    p <- vapply(tests, function(test) as.numeric(test[[part]]$p), 0)
    holm <- p.adjust(p, "holm", n = sum(!is.na(p)))
    bh <- p.adjust(p, "BH", n = sum(!is.na(p)))
    for (i in seq_along(tests)) tests[[i]][[part]][c("holm_p", "bh_p")] <- list(holm[i], bh[i])
  }
  prefixes <- c(p = "", rank = "rank_", strict = "equivalence_")
  for (name in names(prefixes)) {
    prefix <- prefixes[[name]]
    p <- vapply(tests, function(test) as.numeric(test[[name]]), 0)
    holm <- p.adjust(p, "holm", n = sum(!is.na(p)))
    bh <- p.adjust(p, "BH", n = sum(!is.na(p)))
    for (i in seq_along(tests)) {
      tests[[i]][[paste0(prefix, "holm_p")]] <- holm[i]
      tests[[i]][[paste0(prefix, "bh_p")]] <- bh[i]
    }
  }
  computed <- which(!is.na(vapply(tests, function(test) as.numeric(test$strict_effect), 0)))
  for (i in computed) {
    alpha <- 0.05 / length(computed)
    tests[[i]]$needed_in_family <- people_needed(tests[[i]]$strict_effect, tests[[i]]$method == "paired", alpha)
  }
  tests
}

# Repeated measures over the people who have all states in a session, corrected by Greenhouse and Geisser.
all_states <- function(vital, means, states) {
  visits <- visits_of(means, vital, states)
  whole <- rowSums(is.na(visits$table)) == 0
  columns <- lapply(states, function(state) averaged(visits, whole, state))
  people <- sort(names(columns[[1]]))
  names <- c("f", "epsilon", "df_states", "df_error", "p", "partial_eta_squared", "generalized_eta_squared")
  found <- c(list(vital = vital, n = length(people)), setNames(rep(list(NA), length(names)), names))
  if (length(people) < MINIMUM) return(found)
  values <- vapply(columns, function(column) unname(column[people]), numeric(length(people)))
  n <- nrow(values)
  k <- ncol(values)
  centred <- values - mean(values)
  rest <- sweep(sweep(centred, 1, rowMeans(centred)), 2, colMeans(centred))
  if (constant(rest, values)) return(found)
  ss_states <- n * sum(colMeans(centred)^2)
  ss_people <- k * sum(rowMeans(centred)^2)
  ss_error <- sum(rest^2)
  products <- crossprod(rest / max(abs(rest)))
  found$epsilon <- min(1, sum(diag(products))^2 / ((k - 1) * sum(products^2)))
  found$f <- (ss_states / (k - 1)) / (ss_error / ((k - 1) * (n - 1)))
  found$df_states <- signif(found$epsilon * (k - 1), 12)
  found$df_error <- signif(found$epsilon * (k - 1) * (n - 1), 12)
  found$p <- pf(found$f, found$df_states, found$df_error, lower.tail = FALSE)
  found$partial_eta_squared <- ss_states / (ss_states + ss_error)
  found$generalized_eta_squared <- ss_states / (ss_states + ss_people + ss_error)
  found
}

# --- The mixed model, and which result is told ------------------------------------------------------------------------

# Whether the mixed model is the main analysis, unless a fit says that a person's values are independent: somebody has
# several sessions or lacks a state that others met, every t-test is paired, and no state has means of many more
# readings than another.
calls_for_model <- function(means, tests, asked) {
  methods <- unlist(lapply(tests, function(test) if (!is.na(test$p)) test$method))
  if (asked$design != "auto" || !setequal(methods, "paired")) return(FALSE)
  vitals <- split(means, means$kind, drop = TRUE)
  uneven <- vapply(vitals, function(own) {
    readings <- tapply(own$n, own$state, median)
    max(readings) >= UNEVEN_READINGS * min(readings)
  }, TRUE)
  calls <- vapply(vitals, function(own) {
    met <- unique(own[c("participant", "session")])
    anyDuplicated(met$participant) > 0 || nrow(own) < nrow(met) * length(unique(own$state))
  }, TRUE)
  any(calls) && !any(uneven)
}

has_lmer <- function() requireNamespace("lmerTest", quietly = TRUE)

# The tests with what the mixed model of their vital says, and whether it is the main analysis: of every vital it leaves
# a variance between people, sessions or reactions, and it answers all that the t-tests answer.
by_models <- function(tests, means, asked) {
  decides <- TRUE
  for (vital in unique(vapply(tests, function(test) test$vital, ""))) {
    places <- which(vapply(tests, function(test) test$vital == vital && test$n_both >= MINIMUM, TRUE))
    if (!length(places)) next
    own <- means[means$kind == vital, ]
    own$state <- factor(own$state, asked$states[asked$states %in% own$state])
    model <- tryCatch(fitted_model(own), error = function(error) NULL)
    if (identical(model, "independent")) decides <- FALSE
    if (is.null(model) || identical(model, "independent")) next
    for (i in places) {
      tests[[i]]$model <- of_model(model, tests[[i]], levels(own$state))
      tests[[i]]$n_model <- length(unique(own$participant))
    }
  }
  computed <- Filter(function(test) !is.na(test$p), tests)
  answered <- vapply(computed, function(test) !is.na(test$model$p), TRUE)
  list(tests = tests, decides = decides && all(answered))
}

# mean ~ state + place + (1 | participant / session), with minutes where no places are known, and + (1 | participant : state) where somebody met a state in
# several sessions. A variance of 0 is left out, so that the degrees of freedom are those of the model without it.
fitted_model <- function(own) {
  if (length(unique(own$participant)) < MINIMUM) stop("too few people")
  own$visit <- paste(own$participant, own$session)
  repeated <- anyDuplicated(unique(own[c("participant", "visit")])$participant) > 0
  random <- c(
    "(1 | participant)", if (repeated && anyDuplicated(own$visit)) "(1 | visit)",
    if (anyDuplicated(own[c("participant", "state")])) "(1 | participant:state)"
  )
  states <- within_visits(own, model.matrix(~ state, own)[, -1, drop = FALSE])
  every <- sort(setdiff(unique(own$place), 0))
  name <- if (length(every) > 1) "place" else "minutes"
  # a session without places says nothing of them
  own$place[own$place == 0] <- every[1]
  own$place <- factor(own$place)
  columns <- if (name == "place") model.matrix(~ place, own)[, -1, drop = FALSE] else cbind(own$minutes)
  times <- within_visits(own, columns)
  # else the model could hardly tell a change with time from one between states
  is_timed <- all(colSums(times^2) > 1e-18 * colSums(columns^2)) && is_told_apart(states, times)
  fixed <- c("state", if (is_timed) name)
  rest <- lm.fit(if (is_timed) cbind(states, times) else states, within_visits(own, cbind(own$mean)))$residuals
  if (constant(rest, own$mean)) stop("nothing is left beside the effects")
  control <- lme4::lmerControl(
    optimizer = to_lowest, calc.derivs = FALSE, check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
    optCtrl = list(xtol_abs = 1e-12, xtol_rel = 1e-12, ftol_abs = 1e-12, ftol_rel = 1e-12, maxeval = 1e5)
  )
  while (length(random)) {
    formula <- reformulate(c(fixed, random), "mean")
    fit <- suppressWarnings(suppressMessages(lmerTest::lmer(formula, own, control = control)))
    ratios <- lme4::getME(fit, "theta")
    if (max(ratios) >= 1e4) stop("nothing is left beside the effects")
    empty <- ratios < EMPTY
    if (!any(empty)) return(fit)
    groups <- sub("\\.\\(Intercept\\)$", "", names(empty)[empty])
    random <- random[!random %in% paste0("(1 | ", groups, ")")]
  }
  "independent"
}

# Whether no combination of the times is as good as given by the states: the largest canonical correlation of the two.
is_told_apart <- function(states, times) {
  times <- qr(sweep(times, 2, sqrt(colSums(times^2)), "/"))
  if (times$rank < ncol(times$qr)) return(FALSE)
  min(svd(cbind(lm.fit(states, qr.Q(times))$residuals))$d) > TOLD_APART
}

# lme4's usual optimizer, then two of Newton's steps: it ends where the deviance differs in its last bits alone, which
# leaves the fourth digit of a large ratio open.
to_lowest <- function(fn, par, lower, control, ...) {
  found <- lme4::nloptwrap(par, fn, lower, rep(Inf, length(par)), control)
  free <- found$par >= EMPTY
  for (step in seq_len(2 * any(free))) {
    near <- function(ratios) fn(replace(found$par, free, ratios))
    slope <- numDeriv::grad(near, found$par[free])
    better <- tryCatch(found$par[free] - solve(numDeriv::hessian(near, found$par[free]), slope), error = function(error) NaN)
    if (!isTRUE(all(abs(better / found$par[free] - 1) < 0.01))) break
    found$par[free] <- better
  }
  found$fval <- fn(found$par)
  found
}

# Columns less their means in each session.
within_visits <- function(own, columns) apply(columns, 2, function(column) column - ave(column, own$visit))

# Two states by a model, with degrees of freedom by Satterthwaite's method.
of_model <- function(model, test, states) {
  names <- names(lme4::fixef(model))
  weights <- (names == paste0("state", test$first)) - (names == paste0("state", test$second))
  row <- lmerTest::contest1D(model, weights, confint = TRUE)
  found <- NO_ESTIMATE
  found[c("difference", "low", "high", "t", "df", "p")] <- list(
    row$Estimate, row$lower, row$upper, row[["t value"]], row$df, row[["Pr(>|t|)"]]
  )
  found
}

# The result that is told of two states, under the names of RESULT. Each analysis has its own family of p.
result_of <- function(test, decides, correction) {
  by <- if (decides && !is.na(test$model$p)) "mixed_model"
  else if (test$uneven && !is.na(test$equal$p)) "equal_times"
  else if (is.na(test$p)) NA
  else if (test$method == "paired") "paired_t" else "welch_t"
  of <- if (by %in% "mixed_model") test$model else if (by %in% "equal_times") test$equal else test
  if (is.na(by)) of <- NO_ESTIMATE
  adjusted <- if (correction == "holm") of$holm_p else of$bh_p
  n <- c(test$n_first, test$n_second)
  n <- if (by %in% "mixed_model") rep(test$n_model, 2) else ifelse(n > 0, n, test$n_both)
  conclusion <- if (is.na(by)) "no_test" else if (adjusted >= 0.05) "not_shown" else if (of$difference > 0) "higher" else "lower"
  c(
    list(by = by), of[c("difference", "low", "high", "t", "df", "p")],
    list(adjusted_p = adjusted, n_first = n[1], n_second = n[2], conclusion = conclusion)
  )
}

# --- Writing ---------------------------------------------------------------------------------------------------------

# Rounded to 12 digits first, so that the last bit of a sum does not decide how a half is rounded.
number <- function(value, digits) {
  value <- signif(value, 12)
  places <- Filter(function(p) abs(value) >= 0.5 * 10^-p, digits + 0:2)
  places <- if (length(places)) places[1] else digits
  if (value != 0 && !(0.5 * 10^-places <= abs(value) && abs(value) < 1e6)) {
    parts <- strsplit(sprintf("%.1e", value), "e")[[1]]
    power <- RAISED[strsplit(as.character(as.integer(parts[2])), "")[[1]]]
    return(paste0(c(sub("-", MINUS, parts[1], fixed = TRUE), " \u00d7 10", power), collapse = ""))
  }
  sub("-", MINUS, sprintf("%.*f", places, if (value == 0) 0 else value), fixed = TRUE)
}

p_text <- function(p) {
  p <- signif(p, 12)
  if (p < 0.001) return("< 0.001")
  text <- sprintf("%.3f", p)
  if (as.numeric(text) != 0.05) text else sub("0+$", "", sprintf("%.6f", p))
}

p_or_none <- function(p) if (is.na(p)) "" else p_text(p)

factor_text <- function(log_bf) {
  factor <- exp(min(log_bf, 100))
  if (factor >= 1e5) return("over 100,000")
  if (factor >= 100) return(format(round(factor), big.mark = ",", scientific = FALSE))
  number(factor, if (factor >= 10) 1 else 2)
}

df_in_table <- function(df) {
  df <- signif(df, 12)
  if (df == round(df)) sprintf("%.0f", df) else sprintf("%.1f", df)
}

df_text <- function(df) if (df == round(df)) sprintf("%.0f", df) else sprintf("%.2f", df)

interval <- function(low, high, digits) paste(number(low, digits), "to", number(high, digits))

HEADS <- c(
  "comparison", "test", "n", "left out", "difference", "95 % CI", "t", "df", "p", "adj. p", "g", "95 % CI of g",
  "Shapiro p", "rank p", "adj. rank p", "equiv. p", "adj. equiv. p", "needed", "BF10"
)

cells <- function(test, correction) {
  welch <- test$method == "Welch"
  n <- if (welch) paste(test$n_first, "+", test$n_second) else if (test$n_first) test$n_first else test$n_both
  start <- c(
    paste(test$first, MINUS, test$second), if (test$method == "") "none" else test$method, n,
    if (test$left_out) test$left_out else "", if (is.na(test$difference)) "" else number(test$difference, 1)
  )
  if (is.na(test$p)) return(c(start, rep("", 14)))
  needed <- if (is.na(test$needed_in_family)) "" else format(test$needed_in_family, big.mark = ",")
  by_holm <- correction == "holm"
  c(
    start, interval(test$low, test$high, 1), number(test$t, 2), df_in_table(test$df),
    p_text(test$p), p_text(if (by_holm) test$holm_p else test$bh_p), number(test$g, 2),
    interval(test$g_low, test$g_high, 2), paste(vapply(test$shapiro[!is.na(test$shapiro)], p_text, ""), collapse = ", "),
    p_text(test$rank), p_text(if (by_holm) test$rank_holm_p else test$rank_bh_p), p_or_none(test$equivalence),
    p_or_none(if (by_holm) test$equivalence_holm_p else test$equivalence_bh_p),
    if (welch && needed != "") paste(needed, "+", needed) else needed, factor_text(test$log_bf)
  )
}

# Rows of cells as lines with columns below each other.
aligned <- function(rows) {
  widths <- do.call(pmax, lapply(rows, nchar, type = "chars"))
  vapply(rows, function(row) {
    padded <- paste0(row, strrep(" ", widths - nchar(row, type = "chars")))
    sub(" +$", "", paste(padded, collapse = " | "))
  }, "")
}

computed_of <- function(tests) sum(!is.na(vapply(tests, function(test) as.numeric(test$p), 0)))

# For how many tests p is adjusted, in each family where families are declared.
adjusted_for <- function(tests, asked) {
  of <- family_numbers(tests, asked$families)
  sizes <- vapply(unique(of), function(number) computed_of(tests[of == number]), 0L)
  if (!length(sizes)) sizes <- 0L
  how <- if (length(asked$families)) paste("within families of", paste(sizes, collapse = ", ")) else paste("for", sizes)
  sprintf("%s test%s (%s)", how, if (identical(sizes, 1L)) "" else "s", asked$correction)
}

DECIDES <- paste(
  "People have several sessions or lack a state: the mixed model is the main analysis, and the t-tests stand beside it."
)
NEEDS_LMER <- paste(
  "People have several sessions or lack a state: the page's main analysis may be the mixed model, which needs R's package",
  "lmerTest (Debian: apt install r-cran-lmertest). Below are the t-tests beside it."
)

STIMULI_CHECK <- "Whether the stimuli worked (check of the stimuli): page Analysis, or affect-edge analyse."

# The results that are told, as a table.
result_lines <- function(tests) {
  shown <- function(value, write) if (is.na(value)) "" else write(value)
  c("", "What is told of each pair of states, and by which analysis (by):", aligned(c(
    list(c("vital", "comparison", RESULT)),
    lapply(tests, function(test) {
      one <- test$result
      c(
        test$vital, paste(test$first, MINUS, test$second), shown(one$by, identity),
        vapply(one[c("difference", "low", "high")], shown, "", function(value) number(value, 1)),
        shown(one$t, function(t) number(t, 2)), shown(one$df, function(df) df_in_table(round(df, 1))),
        vapply(one[c("p", "adjusted_p")], shown, "", p_text), one$n_first, one$n_second, one$conclusion
      )
    })
  )), "", "The t-tests in full:")
}

report <- function(chosen, tests, states, asked) {
  change <- if (asked$outcome == "change") "; change from baseline" else ""
  lines <- sprintf(
    "States by %s; sessions: %s%s; p adjusted %s", asked$state, chosen$sample, change, adjusted_for(tests, asked)
  )
  rows <- aligned(c(list(HEADS), lapply(tests, cells, asked$correction)))
  lines <- c(lines, chosen$preregistered, chosen$excluded, chosen$note, if (asked$state == "condition") STIMULI_CHECK)
  lines <- c(lines, if (!is.null(tests[[1]]$result)) result_lines(tests), rows[1])
  for (found in states) {
    own <- vapply(tests, function(test) test$vital == found$vital, TRUE)
    lines <- c(lines, "", asked$titles[[found$vital]], rows[-1][own])
    if (!is.na(found$p)) {
      lines <- c(lines, sprintf(
        "%s states: %d people, F = %s with %s degrees of freedom after Greenhouse and Geisser, p %s, %s = %s",
        if (length(asked$states) == 2) "both" else paste("all", NUMBER_WORDS[length(asked$states)]), found$n, number(found$f, 2),
        paste(vapply(c(found$df_states, found$df_error), df_text, ""), collapse = " and "),
        sub("^([^<])", "= \\1", p_text(found$p)), "generalized \u03b7\u00b2",
        number(found$generalized_eta_squared, 2)
      ))
    }
  }
  lines
}

# No reading is of a state: which states could be asked for.
nothing <- function(asked) {
  text <- paste0("No reading counts in ", paste(asked$states, collapse = ", "), ".")
  marker <- read_table(asked$folder, "marker")
  labels <- sort(unique(marker$label[marker$kind == "stimulus_start"]), method = "radix")
  if (asked$state != "condition" || !length(labels)) return(text)
  paste0(text, " Stimuli in marker.csv: ", paste(labels, collapse = ", "), ". Name two with --states.")
}

MEASURED_HEADS <- c("comparison", "n", "difference", "95 % CI", "t", "df", "p", "adj. p")

# The lines about the intervals between beats, or the responses of skin conductance: families of their own.
measured_report <- function(tests, title, titles, asked) {
  lines <- paste0(title, "; p adjusted ", adjusted_for(tests, asked))
  kept <- match(MEASURED_HEADS, HEADS)
  rows <- aligned(c(list(MEASURED_HEADS), lapply(tests, function(test) {
    row <- cells(test, asked$correction)[kept]
    replace(row, 2, as.character(test$n_both))
  })))
  lines <- c("", lines, if (length(tests)) result_lines(tests), rows[1])
  for (measure in names(titles)) {
    own <- vapply(tests, function(test) test$vital == measure, TRUE)
    lines <- c(lines, "", titles[[measure]], rows[-1][own])
  }
  lines
}

# Every number with all its digits, for programs.
full <- function(tests, states) {
  shown <- function(value) if (is.na(value)) "" else if (is.numeric(value)) sprintf("%.17g", value) else value
  lines <- "vital,comparison,name,value"
  for (test in tests) {
    numbers <- c(test[NUMBERS], setNames(as.list(test$shapiro), paste0("shapiro_", seq_along(test$shapiro))[seq_along(test$shapiro)]))
    of <- paste0(test$first, "-", test$second)
    if (!is.null(test$result)) numbers <- c(numbers, setNames(test$result, paste0("result_", RESULT)))
    lines <- c(lines, paste(test$vital, of, names(numbers), vapply(numbers, shown, ""), sep = ","))
  }
  for (found in states) {
    lines <- c(lines, paste(found$vital, "all", names(found)[-1], vapply(found[-1], shown, ""), sep = ","))
  }
  lines
}

# --- Measures over time, for responses and coupling -------------------------------------------------------------------

STEPS <- c(1, 2, 5, 10, 15, 30, 60, 120, 300)  # lengths of the bins of a grid, seconds

# What reads one measure over time in each of these sessions, from the source that counts there, without readings in
# doubt. A row of the face stands in the middle of its interval. Each file is read once.
reader_of <- function(asked, ids) {
  files <- list()
  function(kind) {
    name <- asked$tables[[kind]]
    if (is.null(files[[name]])) {
      every <- read_table(asked$folder, name)
      files[[name]] <<- every[every$session %in% ids, ]
    }
    part <- files[[name]]
    rows <- switch(name,
      vital = part[part$kind == kind, ],
      movement = moved_in(part, kind, asked),
      expression = shown_in(part, kind, asked),
      self_report = said_in(part, kind)
    )
    for (column in c("at_ms", "value")) rows[[column]] <- numbers(paste0(name, ".csv"), column, rows[[column]])
    rows <- rows[!in_stretch(rows, asked$excluded) & !in_stretch(rows, asked$calibrating), ]
    doubted <- Filter(function(flags) any(strsplit(flags, " ")[[1]] %in% setdiff(DOUBTS, asked$count_flagged)), unique(rows$flags))
    rows$out <- rows$flags %in% doubted
    rows <- rows[order(rows$at_ms), c("session", "source", "at_ms", "value", "out")]
    series <- lapply(split(rows, rows$session), best_of, asked$prefer_source, name %in% c("expression", "movement"))
    Filter(function(one) length(one$value) > 0, series)
  }
}

# Times and values of the source of a session that counts, and when it gave readings in doubt.
best_of <- function(own, preferred, of_face) {
  sources <- unique(own$source)
  rank <- match(sources, preferred, nomatch = length(preferred) + 1)
  sound <- vapply(sources, function(source) sum(own$source == source & !own$out), 0)
  every <- vapply(sources, function(source) sum(own$source == source), 0)
  own <- own[own$source == sources[order(rank, -sound, -every, sources, method = "radix")][1], ]
  out_ms <- own$at_ms[own$out]
  own <- own[!own$out, ]
  if (of_face && nrow(own) > 1) own$at_ms <- own$at_ms - floor(median(diff(own$at_ms)) / 2)
  list(at_ms = own$at_ms, value = own$value, out_ms = out_ms)
}

# Own ratings, when they were given.
said_in <- function(part, kind) {
  own <- part[part$scale == sub("sam_", "", kind), ]
  data.frame(session = own$session, source = rep("self-report", nrow(own)), at_ms = own$at_ms, value = own$value, flags = rep("", nrow(own)))
}

# The length of the bins that readings carry: the least that is at least 0.8 of their median distance.
step_of <- function(series) {
  apart <- unlist(lapply(series, function(one) diff(one$at_ms) / 1000))
  if (length(apart)) c(STEPS[STEPS >= 0.8 * median(apart)], max(STEPS))[1] else 1
}

# The mean of the values in each bin, NA where there are none; a place counts bins from 1.
bin_means <- function(place, values, bins) {
  inside <- place >= 1 & place <= bins
  found <- rep(NA_real_, bins)
  means <- vapply(split(values[inside], place[inside]), mean, 0)
  found[as.integer(names(means))] <- means
  found
}

exact <- function(value) sprintf("%.17g", value)

# --- Responses: curves around the starts of stimuli, as the page Responses draws them --------------------------------

MOST_TESTED <- 6    # measures whose curves are one family
LEAST_PEOPLE <- 6   # of a test: the sign flips of five people give p = 2/32 at the least
MOST_FLIPS <- 8192  # above, the page draws flips at random, and there is no p here
UNEVEN_TIMES <- 0.15  # how far apart in the session two kinds of event may be, over the time to the last event

# The measures that are drawn. Those of the question are tested, up to six; what the face shows is described beside
# them, unless --vital names what is wanted.
drawn_in <- function(asked) {
  of_face <- asked$tables == "movement" | asked$tables == "expression" & !startsWith(names(asked$tables), "labelled_")
  unique(c(asked$vital, if (!isTRUE(asked$named)) names(asked$tables)[of_face]))
}

# The mean of the readings in each bin around an event; an empty bin between two others is their mean.
curve_around <- function(own, at, bins, step) {
  start <- at - (bins[1] + 1) * 1000 * step
  edges <- findInterval(c(start, start + (sum(bins) + 2) * 1000 * step), own$at_ms, left.open = TRUE)
  near <- seq_len(edges[2] - edges[1]) + edges[1]
  curve <- bin_means(floor((own$at_ms[near] - start) / (1000 * step)) + 1, own$value[near], sum(bins) + 2)
  between <- (head(curve, -2) + tail(curve, -2)) / 2
  curve <- curve[-c(1, length(curve))]
  ifelse(is.na(curve), between, curve)
}

# Each person's curve around the events of one label: the mean of those of their events, less the mean before each.
people_around <- function(own, events, label, persons, starts, bins, step, reach) {
  found <- list()
  for (i in which(events$label == label)) {
    same <- events$at_ms[events$session == events$session[i]]
    series <- own[[events$session[i]]]
    if (sum(abs(same - events$at_ms[i]) < reach) > 1 || is.null(series)) next
    curve <- curve_around(series, events$at_ms[i], bins, step)
    before <- curve[seq_len(bins[1])]
    if (2 * sum(!is.na(before)) < bins[1] || all(is.na(before)) || all(is.na(curve[-seq_len(bins[1])]))) next
    start <- starts[[events$session[i]]]
    found <- c(found, list(list(
      person = persons[[events$session[i]]], baseline = mean(before, na.rm = TRUE), curve = curve - mean(before, na.rm = TRUE),
      minute = (events$at_ms[i] - start) / 60000, last = (max(same) - start) / 60000
    )))
  }
  lapply(split(found, vapply(found, function(one) one$person, "")), function(own) {
    curve <- colMeans(do.call(rbind, lapply(own, function(one) one$curve)), na.rm = TRUE)
    curve[is.nan(curve)] <- NA
    mean_of <- function(name) mean(vapply(own, function(one) one[[name]], 0))
    list(curve = curve, baseline = mean_of("baseline"), minute = mean_of("minute"), last = mean_of("last"))
  })
}

# Peak, its time, area, and how long after the peak half of it is left. What differs by rounding alone is equal.
figures_of <- function(curve, baseline, bins, step) {
  after <- curve[-seq_len(bins[1])]
  after[abs(after) <= 1e-12 * abs(baseline)] <- 0
  place <- which(abs(after) >= max(abs(after), na.rm = TRUE) * (1 - 1e-9))[1]
  half <- NA
  rest <- after[place:length(after)] / (after[place] / 2) - 1
  if (after[place] != 0) for (i in seq_along(rest)[-1]) {
    if (is.na(rest[i])) break
    if (rest[i] <= 1e-9) {
      half <- (i - 2 + rest[i - 1] / (rest[i - 1] - rest[i])) * step
      break
    }
  }
  c(peak = after[place], latency_s = (place - 0.5) * step, area = sum(after) * step, half_s = half)
}

# The sums of t, times the length of a bin, of neighbouring bins with |t| above its critical value on one side.
masses_of <- function(t, critical, step) {
  runs <- rle(ifelse(abs(t) > critical, sign(t), 0))
  sums <- vapply(split(t, rep(seq_along(runs$lengths), runs$lengths)), sum, 0)
  unname(sums[runs$values != 0]) * step
}

# p of the largest cluster of each table of differences, all of them one family; NA where there are too many flips.
cluster_p <- function(tables, steps) {
  people <- Reduce(`|`, lapply(tables, function(table) !is.na(table[, 1])))
  n <- sum(people)
  if (2^(n - 1) > MOST_FLIPS) return(rep(NA, length(tables)))
  signs <- 1 - 2 * (outer(seq_len(2^(n - 1)) - 1, 2^(seq_len(n) - 1), function(number, bit) number %/% bit) %% 2)
  masses <- lapply(seq_along(tables), function(i) {
    there <- !is.na(tables[[i]][, 1])
    x <- tables[[i]][there, , drop = FALSE]
    squares <- colSums(x^2)
    means <- signs[, there[people], drop = FALSE] %*% x / nrow(x)
    variance <- (rep(squares, each = nrow(means)) - nrow(x) * means^2) / (nrow(x) - 1)
    t <- ifelse(variance > 1e-12 * rep(squares, each = nrow(means)) / nrow(x), means / sqrt(pmax(variance, 0) / nrow(x)), 0)
    apply(t, 1, function(row) max(0, abs(masses_of(row, qt(0.975, nrow(x) - 1), steps[i]))))
  })
  largest <- do.call(pmax, masses)
  vapply(masses, function(own) if (own[1] == 0) 1 else mean(largest >= own[1] * (1 - 1e-9)), 0)
}

# Every number of the curves as a table, in the form of responses.csv.
responses_table <- function(asked, chosen) {
  session <- read_table(asked$folder, "session")
  persons <- setNames(session$participant, session$session)
  events <- read_table(asked$folder, "marker")
  events <- events[events$kind == "stimulus_start" & events$session %in% intersect(chosen$ids, asked$measured), ]
  events$at_ms <- as.numeric(events$at_ms)
  events <- events[order(as.numeric(events$session), events$at_ms), ]
  events <- events[!in_stretch(events, asked$excluded) & !in_stretch(events, asked$calibrating), ]
  shown <- trimws(events$label)
  events$label <- tolower(shown)
  # a label is written as it first was
  titles <- ifelse(names(asked$states) %in% events$label, shown[match(names(asked$states), events$label)], asked$states)
  series_of <- reader_of(asked, unique(events$session))
  lines <- tests <- others <- list()
  tested <- head(asked$vital, MOST_TESTED)
  for (vital in drawn_in(asked)) {
    own <- series_of(vital)
    step <- step_of(own)
    bins <- floor(c(asked$before, asked$after) / step)
    if (!length(own) || any(bins == 0)) next
    around <- lapply(names(asked$states), function(label) {
      people_around(own, events, label, persons, asked$starts, bins, step, 1000 * (asked$before + asked$after))
    })
    curves <- lapply(c(seq_along(around)[-1], 1), function(i) curve_lines(around[[i]], vital, titles[i], bins, step))
    if (!vital %in% tested) others <- c(others, curves) else lines <- c(lines, curves)
    if (vital %in% tested) for (i in seq_along(around)[-1]) {
      table <- differences_of(around[[i]], around[[1]], unique(persons), bins)
      if (!is.null(table)) tests <- c(tests, list(list(vital = vital, of = paste0(titles[i], "-", titles[1]), table = table, step = step)))
    }
  }
  c("vital,event,participant,name,at_s,value", unlist(c(lines, test_lines(tests), others)))
}

# The lines of the curves around the events of one label.
curve_lines <- function(people, vital, title, bins, step) {
  if (!length(people)) return(NULL)
  at <- (seq_len(sum(bins)) - bins[1] - 0.5) * step
  curves <- do.call(rbind, lapply(people, function(one) one$curve))
  n <- colSums(!is.na(curves))
  mean <- colMeans(curves, na.rm = TRUE)
  half <- suppressWarnings(qt(0.975, n - 1)) * apply(curves, 2, sd, na.rm = TRUE) / sqrt(n)
  line <- function(code, name, at, value) paste(vital, title, code, name, at, exact(value), sep = ",")
  points <- lapply(which(n > 0), function(j) {
    band <- if (n[j] > 1) c(line("", "low", exact(at[j]), mean[j] - half[j]), line("", "high", exact(at[j]), mean[j] + half[j]))
    c(line("", "mean", exact(at[j]), mean[j]), band, line("", "n", exact(at[j]), n[j]))
  })
  figures <- lapply(names(people), function(code) {
    found <- c(baseline = people[[code]]$baseline, figures_of(people[[code]]$curve, people[[code]]$baseline, bins, step))
    found <- found[!is.na(found)]
    line(code, names(found), "", found)
  })
  c(points, figures)
}

# The differences of two curves after the event, a row for each person, NA where there is none; nothing where they are
# not tested.
differences_of <- function(first, second, codes, bins) {
  differences <- do.call(rbind, lapply(codes, function(code) {
    difference <- first[[code]]$curve[-seq_len(bins[1])] - second[[code]]$curve[-seq_len(bins[1])]
    if (length(difference) && !anyNA(difference)) difference else rep(NA, bins[2])
  }))
  used <- codes[!is.na(differences[, 1])]
  if (length(used) < LEAST_PEOPLE) return(NULL)
  gap <- vapply(used, function(code) first[[code]]$minute - second[[code]]$minute, 0)
  last <- vapply(used, function(code) max(first[[code]]$last, second[[code]]$last), 0)
  if (abs(mean(gap)) > UNEVEN_TIMES * mean(last)) NULL else differences
}

test_lines <- function(tests) {
  if (!length(tests)) return(NULL)
  p <- cluster_p(lapply(tests, function(test) test$table), vapply(tests, function(test) test$step, 0))
  lapply(which(!is.na(p)), function(i) paste(tests[[i]]$vital, tests[[i]]$of, "", "p", "", exact(p[i]), sep = ","))
}

# --- Coupling: whether the face and a vital go together more than with others, as affect-edge coupling tests it ------

LEAST_PAIRS <- 30        # bins with both values that a person needs
LEAST_IN_STIMULUS <- 10  # and a presentation of a stimulus
NEAR_S <- 5              # seconds around a reading in doubt in which a sensor counts as disturbed
POSE <- c("yaw", "pitch", "roll")
MOTION <- "body_motion"
MOTION_S <- 5            # seconds before its time that a value of it is of

# Every number of the association as a table, in the form of coupling.csv. Each person's face is correlated with their
# own vital and with that of other people at the same stimuli; where too few others were there, with their own over
# whole sessions, and nothing is tested.
coupling_table <- function(asked, chosen) {
  session <- read_table(asked$folder, "session")
  kinds <- c(asked$measure, if (isTRUE(asked$named)) asked$vital[1] else "heart_rate")
  if (!asked$tables[kinds[1]] %in% c("expression", "movement")) refuse("--measure ", kinds[1], ": is no measure of the face.")
  if (!asked$tables[kinds[2]] %in% "vital") refuse("--vital ", kinds[2], ": is no vital.")
  ids <- intersect(chosen$ids, asked$measured)
  read <- reader_of(asked, ids)
  both <- lapply(kinds, read)
  shared <- intersect(names(both[[1]]), names(both[[2]]))
  both <- lapply(both, function(series) series[shared])
  step <- max(step_of(both[[1]]), step_of(both[[2]]))
  lag_s <- if (is.null(asked[["lag"]])) asked$lags_s[[kinds[2]]] else asked[["lag"]]
  lag <- sign(lag_s) * floor(abs(lag_s) / step + 0.5)  # round() makes 2 of 2.5
  person <- session$participant[match(shared, session$session)]
  lines <- "measure,vital,lag_s,participant,name,value"
  row <- function(code, name, value) {
    lines <<- c(lines, paste(kinds[1], kinds[2], exact(lag * step), code, name, exact(value), sep = ","))
  }
  if (!length(person)) return(lines)
  pose <- if (kinds[1] %in% POSE) list() else lapply(POSE, read)
  motion <- if (kinds[2] == MOTION) list() else read(MOTION)
  tracks <- lapply(setNames(shared, shared), function(id) {
    moved <- movement_of(lapply(pose, function(series) series[[id]]))
    c(list(face = both[[1]][[id]], vital = both[[2]][[id]]), moved, held_of(motion[[id]]))
  })
  shown <- presentations(asked, session[session$session %in% ids, ], tracks, step)
  people <- sort(unique(person), method = "radix")
  beside <- beside_others(shown, "face", "vital", lag, people)
  compared <- sum(beside$others > 0) >= MINIMUM
  found <- if (compared) beside else alone_over_sessions(both, person, people, asked$starts, step, lag)
  known <- if (compared) found$others > 0 else !is.na(found$z)
  for (i in which(known)) {
    row(people[i], "sessions", found$sessions[i])
    row(people[i], "pairs", nrow(found$rows[[i]]))
    row(people[i], "r", tanh(found$z[i]))
    row(people[i], "others", if (compared) found$others[i] else 0)
    if (compared) {
      row(people[i], "r_others", tanh(found$z_others[i]))
      row(people[i], "difference", found$difference[i])
    }
  }
  for (code in people[!known]) row(code, "left_out", 1)
  every <- do.call(rbind, found$rows[known])
  whole <- list(
    people = sum(known), sessions = length(ids), without_times = length(setdiff(chosen$ids, asked$measured)),
    step_s = step, stimuli = if (compared) found$stimuli else 0, pairs = max(0, nrow(every))
  )
  if (any(known)) {
    whole$repeated_r <- repeated_r(every, rep(people[known], vapply(found$rows[known], nrow, 0L)))
    whole$r <- tanh(mean(found$z[known]))
  }
  if (compared) {
    whole$r_others <- tanh(mean(found$z_others[known]))
    whole$difference <- mean(found$difference[known])
    test <- test_of_z(found$difference[known])
    if (!is.null(test) && !is_disturbed(shown, lag, people)) {
      ends <- test_of_z(found$z[known])
      whole <- c(whole, list(low = tanh(ends$low), high = tanh(ends$high)))
      whole <- c(whole, list(difference_low = test$low, difference_high = test$high, t = test$t, df = test$df, p = test$p))
    }
  }
  for (name in names(whole)[!is.na(whole)]) row("", name, whole[[name]])
  lines
}

# The presentations of stimuli in bins from their start, a list for each: whose, in which of their sessions, which
# stimulus (label, and its number among those of that label in the session), and the bins of every track.
presentations <- function(asked, session, tracks, step) {
  stimuli <- read_stimuli(asked$folder)
  marker <- read_table(asked$folder, "marker")
  marker <- marker[marker$kind %in% c("stimulus_start", "stimulus_end"), ]
  session <- session[order(as.numeric(session$start_ms), as.numeric(session$session)), ]
  found <- list()
  for (id in names(tracks)) {
    code <- session$participant[session$session == id]
    place <- which(session$session[session$participant == code] == id)
    own <- stimuli[stimuli$session == id, ]
    edges <- as.numeric(marker$at_ms[marker$session == id])
    last <- suppressWarnings(as.numeric(session$end_ms[session$session == id]))
    labels <- tolower(trimws(own$label))
    for (i in seq_len(nrow(own))) {
      start <- own$at_ms[i]
      end <- min(c(edges[edges > start], last, Inf), na.rm = TRUE)
      inside <- lapply(tracks[[id]], function(one) one$at_ms >= start & one$at_ms < end)
      ends <- unlist(Map(function(one, here) one$at_ms[here], tracks[[id]], inside))
      if (!length(ends)) next
      bins <- (max(ends) - start) %/% (1000 * step) + 1
      binned <- Map(function(one, here) {
        bin_means((one$at_ms[here] - start) %/% (1000 * step) + 1, one$value[here], bins)
      }, tracks[[id]], inside)
      at <- start + 1000 * step * (seq_len(bins) - 1)
      near <- 1000 * NEAR_S
      binned$doubt <- rep(0, bins)
      for (one in tracks[[id]]$vital$out_ms) binned$doubt[at + 1000 * step > one - near & at <= one + near] <- 1
      name <- paste(sum(labels[seq_len(i)] == labels[i]), labels[i])
      found <- c(found, list(list(code = code, place = place, name = name, session = id, tracks = binned)))
    }
  }
  found
}

# How fast the head turned, degrees a second, and how far it was from its usual pose.
movement_of <- function(angles) {
  if (length(angles) < 3 || any(vapply(angles, is.null, TRUE))) return(NULL)
  at <- Reduce(intersect, lapply(angles, function(one) one$at_ms))
  if (length(at) < 2) return(NULL)
  turned <- vapply(angles, function(one) one$value[match(at, one$at_ms)], at)
  apart <- diff(at)
  near <- apart <= 2 * median(apart)
  speed <- sqrt(rowSums(diff(turned)^2)) / (apart / 1000)
  usual <- apply(turned, 2, median)
  list(
    speed = list(at_ms = at[-1][near], value = speed[near]),
    away = list(at_ms = at, value = sqrt(colSums((t(turned) - usual)^2)))
  )
}

# The motion of the wearer at every second that a value is of.
held_of <- function(series) {
  if (is.null(series)) return(NULL)
  at <- rep(series$at_ms, each = MOTION_S) - 1000 * rep(seq_len(MOTION_S) - 1, length(series$at_ms)) - 500
  order <- order(at)
  list(motion = list(at_ms = at[order], value = rep(series$value, each = MOTION_S)[order]))
}

# The bins that have both means, with the second track moved by the lag: time, first, second.
pairs_of <- function(first, second, lag) {
  bins <- max(length(first), length(second))
  x <- c(first, rep(NA, bins - length(first)))
  y <- c(second, rep(NA, bins - length(second)))
  y <- if (lag >= 0) c(y[seq_len(bins) > lag], rep(NA, min(lag, bins))) else c(rep(NA, min(-lag, bins)), head(y, max(0, bins + lag)))
  told <- which(!is.na(x) & !is.na(y))
  cbind(at = told, x = x[told], y = y[told])
}

# Fisher's z of each person's first track with their own second one, and the mean of z with other people's at the same
# stimuli; of those of a person with several sessions, the one in the session of the same place, else the nearest.
beside_others <- function(shown, first, second, lag, people) {
  shown <- Filter(function(one) !is.null(one$tracks[[first]]) && !is.null(one$tracks[[second]]), shown)
  codes <- vapply(shown, function(one) one$code, "")
  names <- vapply(shown, function(one) one$name, "")
  places <- vapply(shown, function(one) one$place, 0)
  own <- lapply(shown, function(one) pairs_of(one$tracks[[first]], one$tracks[[second]], lag))
  enough <- vapply(own, nrow, 0L) >= LEAST_IN_STIMULUS
  used <- rep(FALSE, length(shown))
  n <- length(people)
  found <- list(z = rep(NA_real_, n), z_others = rep(NA_real_, n), difference = rep(NA_real_, n), others = rep(0, n))
  found$rows <- vector("list", n)
  found$sessions <- rep(0, n)
  for (i in seq_len(n)) {
    with_others <- same <- numeric()
    for (j in setdiff(seq_len(n), i)) {
      crossed <- alone <- list()
      for (one in which(codes == people[i] & enough)) {
        theirs <- which(codes == people[j] & names == names[one])
        theirs <- theirs[order(places[theirs])]
        if (!length(theirs)) next
        beside <- theirs[which.min(abs(places[theirs] - places[one]))]
        pairs <- pairs_of(shown[[one]]$tracks[[first]], shown[[beside]]$tracks[[second]], lag)
        if (nrow(pairs) < LEAST_IN_STIMULUS) next
        used[one] <- TRUE
        crossed <- c(crossed, list(pairs))
        alone <- c(alone, list(own[[one]]))
      }
      z <- c(z_of(crossed), z_of(alone))
      if (anyNA(z)) next
      with_others <- c(with_others, z[1])
      same <- c(same, z[2])
    }
    mine <- which(codes == people[i] & used)
    found$others[i] <- length(same)
    found$rows[[i]] <- do.call(rbind, own[mine])
    found$sessions[i] <- length(unique(vapply(shown[mine], function(one) one$session, "")))
    if (!length(same)) next
    found$z[i] <- z_of(own[mine])
    found$z_others[i] <- mean(with_others)
    found$difference[i] <- mean(same - with_others)
  }
  found$stimuli <- length(unique(names[used]))
  found
}

# Whether a movement of the head, its pose, the wearer's motion, or doubts about readings go with the face and with the vital, at once or at
# the lag, more than with others' at the same stimuli.
is_disturbed <- function(shown, lag, people) {
  p_of <- function(first, second, lag) {
    found <- beside_others(shown, first, second, lag, people)
    test <- test_of_z(found$difference[found$others > 0])
    if (is.null(test)) NA else test$p
  }
  any(vapply(c("speed", "away", "motion", "doubt"), function(kind) {
    face <- p_of(kind, "face", 0)
    isTRUE(face < 0.05) && any(c(p_of(kind, "vital", 0), p_of(kind, "vital", lag)) < 0.05, na.rm = TRUE)
  }, TRUE))
}

# The associations over whole sessions of at least 30 pairs.
alone_over_sessions <- function(both, person, people, starts, step, lag) {
  rows <- lapply(people, function(code) {
    pairs <- lapply(names(both[[1]])[person == code], function(id) pairs_at(both[[1]][[id]], both[[2]][[id]], starts[[id]], step, lag))
    Filter(function(one) nrow(one) >= LEAST_PAIRS, pairs)
  })
  list(
    z = vapply(rows, function(one) as.numeric(z_of(one)), 0), sessions = vapply(rows, length, 0L),
    rows = lapply(rows, function(one) do.call(rbind, one))
  )
}

# The bins of a session that have both means, with the vital moved by the lag: time, face, vital.
pairs_at <- function(face, vital, start, step, lag) {
  start <- floor(start / (1000 * step)) * 1000 * step
  places <- lapply(list(face, vital), function(one) floor((one$at_ms - start) / (1000 * step)) + 1)
  bins <- max(unlist(places))
  x <- bin_means(places[[1]], face$value, bins)
  y <- bin_means(places[[2]] - lag, vital$value, bins)
  told <- which(!is.na(x) & !is.na(y))
  cbind(at = told, x = x[told], y = y[told])
}

# Fisher's z of the correlation of what a line over time leaves of both in each stretch; NA where one does not vary, or
# with too few pairs.
z_of <- function(pairs) {
  if (!length(pairs) || sum(vapply(pairs, nrow, 0L)) < LEAST_PAIRS) return(NA)
  values <- do.call(rbind, lapply(pairs, function(one) one[, c("x", "y")]))
  rest <- do.call(rbind, lapply(pairs, function(one) residuals(lm(one[, c("x", "y")] ~ one[, "at"]))))
  if (any(colSums(rest^2) <= 1e-12 * colSums(values^2))) return(NA)
  r <- sum(rest[, 1] * rest[, 2]) / sqrt(prod(colSums(rest^2)))
  if (abs(r) < 1 - 1e-12) atanh(r) else NA
}

# The repeated-measures correlation (Bakdash and Marusich 2017): of the values less each person's own mean.
repeated_r <- function(every, person) {
  own <- cbind(every[, "x"] - ave(every[, "x"], person), every[, "y"] - ave(every[, "y"], person))
  if (any(colSums(own^2) <= 1e-12 * colSums(every[, c("x", "y")]^2))) NA else cor(own)[1, 2]
}

# One value a person, by Student's t; nothing for fewer than three, or if all are the same.
test_of_z <- function(z) {
  if (length(z) < MINIMUM || sd(z) / sqrt(length(z)) <= 1e-12 * max(abs(z))) return(NULL)
  found <- t.test(z)
  list(
    z = unname(found$estimate), low = found$conf.int[1], high = found$conf.int[2],
    t = unname(found$statistic), df = unname(found$parameter), p = found$p.value
  )
}

asked <- with_kinds(asked_for(commandArgs(trailingOnly = TRUE)))
asked$factors <- read_factors(asked)
chosen <- choose(asked)
asked$timed <- chosen$timed
if (asked$state == "condition" && length(asked$typed$states)) {
  marker <- read_table(asked$folder, "marker")
  labels <- unique(marker$label[marker$kind %in% c("stimulus_start", "baseline")])
  say_unmet("--states", asked$typed$states, labels, function(texts) tolower(trimws(texts)))
}
if (asked$responses || asked$coupling) {
  lines <- if (asked$responses) responses_table(chosen$asked, chosen) else coupling_table(chosen$asked, chosen)
  writeLines(enc2utf8(lines), useBytes = TRUE)
  quit(status = 0)
}
means <- chosen$means
places <- places_of(chosen$asked$stimuli, chosen$asked, chosen$ids)
if (is.null(means)) {
  texts <- c("kind", "state", "participant", "session")
  means <- data.frame(c(
    setNames(rep(list(character()), 4), texts), list(mean = numeric(), minutes = numeric(), n = numeric())
  ))
}
means <- with_places(means, places)
chosen$preregistered <- preregistered_lines(chosen, means, chosen$asked)
tests_of <- function(kinds, means) {
  tests <- list()
  for (kind in kinds) for (pair in asked$pairs) tests <- c(tests, list(compare(kind, pair, means, asked)))
  tests
}
tests <- tests_of(asked$vital, means)
states <- lapply(asked$vital, all_states, means, unname(asked$states))
measured <- list()
for (name in names(MEASURED)) if (asked[[name]]) {
  values <- with_places(read_measured(asked$folder, name), places)
  titles <- setNames(values$title, values$kind)[!duplicated(values$kind)]
  tests_found <- if (length(titles)) tests_of(names(titles), values) else list()
  measured[[name]] <- list(tests = tests_found, titles = titles)
}
of_files <- unlist(lapply(measured, function(one) names(one$titles)))
asked$families <- families_of(asked, unique(c(asked$vital, asked$heart_measure, asked$skin_measure, of_files)))
calls <- calls_for_model(means, tests, asked)
modelled <- if (calls && has_lmer()) by_models(tests, means, asked) else list(tests = tests, decides = FALSE)
tests <- adjusted(modelled$tests, asked$families)
if (calls && !has_lmer()) {
  chosen$note <- NEEDS_LMER
} else {
  if (modelled$decides) chosen$note <- DECIDES
  tests <- lapply(tests, function(test) c(test, list(result = result_of(test, modelled$decides, asked$correction))))
}
for (name in names(measured)) {
  of_measures <- adjusted(measured[[name]]$tests, asked$families)
  measured[[name]]$tests <- lapply(of_measures, function(test) {
    c(test, list(result = result_of(test, FALSE, asked$correction)))
  })
}
if (asked$csv) {
  for (line in c(chosen$preregistered, chosen$excluded, chosen$note)) message(line)
  lines <- full(c(tests, unlist(lapply(unname(measured), `[[`, "tests"), recursive = FALSE)), states)
} else {
  lines <- report(chosen, tests, states, asked)
  if (!nrow(means)) lines <- c(lines, "", nothing(asked))
  for (name in names(measured)) {
    one <- measured[[name]]
    lines <- c(lines, measured_report(one$tests, MEASURED[[name]], one$titles, asked))
  }
}
writeLines(enc2utf8(lines), useBytes = TRUE)
