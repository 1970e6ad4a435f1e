package io.malleable.control;

import java.net.URI;
import java.nio.file.Path;
import java.util.Map;

/** Image sources as input of an operation. */
final class ImageSources {
  private ImageSources() {}

  static void write(Map<String, String> input, ImageSource source) {
    switch (source) {
      case ImageSource.LocalFile file -> input.put("file", file.path().toString());
      case ImageSource.Upload upload -> input.put("upload", upload.path().toString());
      case ImageSource.Download download -> input.put("url", download.url().toString());
    }
  }

  static ImageSource read(Map<String, String> input) {
    String file = input.get("file");
    if (file != null) {
      return new ImageSource.LocalFile(Path.of(file));
    }
    String upload = input.get("upload");
    if (upload != null) {
      return new ImageSource.Upload(Path.of(upload));
    }
    String url = input.get("url");
    if (url != null) {
      return new ImageSource.Download(URI.create(url));
    }
    throw new IllegalStateException("an import without a source");
  }
}
