-- Projects besides the owner that may use an image.
CREATE TABLE image_share (
  image_id   VARCHAR(36) NOT NULL REFERENCES image (id) ON DELETE CASCADE,
  project_id VARCHAR(36) NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  PRIMARY KEY (image_id, project_id)
);
CREATE INDEX image_share_project ON image_share (project_id);
