package io.malleable.control;

import java.net.URI;
import java.nio.file.Path;

/** Where the bytes of a new image come from. */
public sealed interface ImageSource {
  /** For people; never with a password in it. */
  String description();

  /** A file that the server can read. */
  record LocalFile(Path path) implements ImageSource {
    @Override
    public String description() {
      return path.toString();
    }
  }

  /** A file that the server received and that goes away with the operation, however it ends. */
  record Upload(Path path) implements ImageSource {
    @Override
    public String description() {
      return "upload";
    }
  }

  /** Fetched by the server. */
  record Download(URI url) implements ImageSource {
    @Override
    public String description() {
      return url.getScheme() + "://" + url.getHost() + (url.getPath() == null ? "" : url.getPath());
    }
  }
}
