package io.malleable.control;

import java.util.concurrent.atomic.AtomicBoolean;

/** An image whose content is being read: it is not deleted before this is closed. */
public final class ImageReading implements AutoCloseable {
  private final Image image;
  private final Runnable end;
  private final AtomicBoolean open = new AtomicBoolean(true);

  ImageReading(Image image, Runnable end) {
    this.image = image;
    this.end = end;
  }

  public Image image() {
    return image;
  }

  @Override
  public void close() {
    if (open.getAndSet(false)) {
      end.run();
    }
  }
}
