"""Tables of the index of corrections; the triggers maintain its counts."""

from product_classifier.feedback.search_terms import TOKENIZER

SCHEMA_VERSION = 5

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- A key found by a listing has status 0 until its object is read (1) or found to be damaged (2).
CREATE TABLE corrections (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    status INTEGER NOT NULL DEFAULT 0,
    created INTEGER, user TEXT, role TEXT, code TEXT, predicted TEXT, release TEXT, comment TEXT,
    prediction_id BLOB, designation TEXT, description TEXT, image_sha256 TEXT,
    product_key BLOB, agreement_key BLOB, state TEXT,
    confidence REAL NOT NULL DEFAULT 2,  -- of the prediction; 2 is not read yet, 3 not known: these sort last
    attempts INTEGER NOT NULL DEFAULT 0, retry_at INTEGER NOT NULL DEFAULT 0,
    taxonomy_version INTEGER, predicted_version INTEGER,  -- of code and predicted, NULL is the first
    read_code TEXT,  -- code in the newest version of the taxonomy; NULL if it is in no category
    decided INTEGER NOT NULL DEFAULT 1,  -- 0 after a split: read_code is the category above
    -- The last decision of reviews and revisions.
    decision TEXT, decision_user TEXT, decision_created INTEGER, replacement BLOB,
    is_confirmation INTEGER NOT NULL DEFAULT 0,  -- whether read_code is the category that was predicted
    words_number INTEGER UNIQUE  -- row of `words`, in the order of time
);
CREATE INDEX corrections_category ON corrections (read_code, created, id) WHERE status = 1;
CREATE INDEX corrections_category_state ON corrections (read_code, state, created, id) WHERE status = 1;
CREATE INDEX corrections_photo ON corrections (image_sha256, user) WHERE status = 1 AND image_sha256 IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize="TOKENIZER");
CREATE INDEX corrections_code ON corrections (code, taxonomy_version) WHERE status = 1;
CREATE INDEX corrections_undecided ON corrections (id) WHERE status = 1 AND decided = 0;
CREATE INDEX corrections_unread ON corrections (id) WHERE status = 0;
CREATE INDEX corrections_identity ON corrections (substr(id, 7));
CREATE INDEX corrections_created ON corrections (created, id) WHERE status = 1;
CREATE INDEX corrections_state ON corrections (state, created, id) WHERE status = 1;
CREATE INDEX corrections_user ON corrections (user, created, id) WHERE status = 1;
CREATE INDEX corrections_user_state ON corrections (user, state, created, id) WHERE status = 1;
CREATE INDEX corrections_confidence ON corrections (confidence, created, id) WHERE status = 1;
CREATE INDEX corrections_state_confidence ON corrections (state, confidence, created, id) WHERE status = 1;
CREATE INDEX corrections_user_confidence ON corrections (user, confidence, created, id) WHERE status = 1;
CREATE INDEX corrections_user_state_confidence ON corrections (user, state, confidence, created, id)
    WHERE status = 1;
CREATE INDEX corrections_confidence_unread ON corrections (id)
    WHERE status = 1 AND confidence = 2 AND agreement_key IS NOT NULL;
CREATE INDEX corrections_product ON corrections (agreement_key, user, created, id)
    WHERE status = 1 AND agreement_key IS NOT NULL;
CREATE INDEX corrections_prediction ON corrections (prediction_id, user, created, id)
    WHERE status = 1 AND prediction_id IS NOT NULL;
CREATE INDEX corrections_unresolved ON corrections (retry_at) WHERE status = 1 AND agreement_key IS NULL;
CREATE TABLE reviews (
    id BLOB PRIMARY KEY, status INTEGER NOT NULL DEFAULT 0, created INTEGER, reviewer TEXT, decision TEXT
) WITHOUT ROWID;
CREATE INDEX reviews_unread ON reviews (id) WHERE status = 0;
CREATE TABLE revisions (
    id BLOB PRIMARY KEY, status INTEGER NOT NULL DEFAULT 0, feedback_id BLOB, created INTEGER, user TEXT, action TEXT,
    replacement BLOB
) WITHOUT ROWID;
CREATE INDEX revisions_unread ON revisions (id) WHERE status = 0;
CREATE INDEX revisions_correction ON revisions (feedback_id, created, id) WHERE status = 1;
CREATE TABLE damaged (key TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
-- Products whose states and label are to be computed again.
CREATE TABLE dirty (agreement_key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE labels (
    agreement_key BLOB PRIMARY KEY, product_key BLOB NOT NULL, code TEXT NOT NULL, id BLOB NOT NULL,
    since INTEGER NOT NULL, reason TEXT NOT NULL, is_new INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX labels_product ON labels (product_key, since, id);
CREATE INDEX labels_new ON labels (id) WHERE is_new = 1;
-- Products and codes of the watermark, the snapshot named by the meta entry `watermark`.
CREATE TABLE trained (product_key BLOB PRIMARY KEY, code TEXT NOT NULL) WITHOUT ROWID;
-- Counts, maintained by the triggers below.
CREATE TABLE state_counts (state TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE user_counts (user TEXT, state TEXT, n INTEGER NOT NULL, PRIMARY KEY (user, state)) WITHOUT ROWID;
CREATE TABLE day_counts (user TEXT, day INTEGER, n INTEGER NOT NULL, PRIMARY KEY (user, day)) WITHOUT ROWID;
CREATE TABLE totals (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES ('labels', 0), ('new_labels', 0);

CREATE TRIGGER correction_added AFTER UPDATE OF state ON corrections
WHEN OLD.state IS NULL AND NEW.state IS NOT NULL BEGIN
    INSERT INTO state_counts VALUES (NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO user_counts VALUES (NEW.user, NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO day_counts VALUES (NEW.user, NEW.created / 86400000000, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER correction_changed AFTER UPDATE OF state ON corrections
WHEN OLD.state IS NOT NULL AND NEW.state IS NOT NULL AND OLD.state <> NEW.state BEGIN
    UPDATE state_counts SET n = n - 1 WHERE state = OLD.state;
    UPDATE user_counts SET n = n - 1 WHERE user = OLD.user AND state = OLD.state;
    INSERT INTO state_counts VALUES (NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO user_counts VALUES (NEW.user, NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER correction_deleted AFTER DELETE ON corrections WHEN OLD.state IS NOT NULL BEGIN
    UPDATE state_counts SET n = n - 1 WHERE state = OLD.state;
    UPDATE user_counts SET n = n - 1 WHERE user = OLD.user AND state = OLD.state;
    UPDATE day_counts SET n = n - 1 WHERE user = OLD.user AND day = OLD.created / 86400000000;
END;
CREATE TRIGGER label_added AFTER INSERT ON labels BEGIN
    UPDATE totals SET n = n + 1 WHERE name = 'labels';
    UPDATE totals SET n = n + NEW.is_new WHERE name = 'new_labels' AND NEW.is_new;
END;
CREATE TRIGGER label_changed AFTER UPDATE OF is_new ON labels WHEN OLD.is_new <> NEW.is_new BEGIN
    UPDATE totals SET n = n + NEW.is_new - OLD.is_new WHERE name = 'new_labels';
END;
CREATE TRIGGER label_deleted AFTER DELETE ON labels BEGIN
    UPDATE totals SET n = n - 1 WHERE name = 'labels';
    UPDATE totals SET n = n - OLD.is_new WHERE name = 'new_labels' AND OLD.is_new;
END;
""".replace("TOKENIZER", TOKENIZER)
