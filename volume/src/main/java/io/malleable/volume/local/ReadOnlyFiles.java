package io.malleable.volume.local;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.ReadOnlyFileSystemException;
import java.util.List;
import java.util.UUID;

/** Files that are looked at only: every call that would change something is refused. */
final class ReadOnlyFiles implements StoreFiles {
  private final StoreFiles files;

  ReadOnlyFiles(StoreFiles files) {
    this.files = files;
  }

  private static IOException refusal() {
    return new IOException(
        "the store was opened for reading only", new ReadOnlyFileSystemException());
  }

  @Override
  public void createDirectory(String directory) throws IOException {
    throw refusal();
  }

  @Override
  public List<String> list(String directory) throws IOException {
    return files.list(directory);
  }

  @Override
  public boolean exists(String name) throws IOException {
    return files.exists(name);
  }

  @Override
  public StoreFile create(String name) throws IOException {
    throw refusal();
  }

  @Override
  public StoreFile open(String name) throws IOException {
    return new ReadOnlyFile(files.open(name));
  }

  @Override
  public void rename(String from, String to) throws IOException {
    throw refusal();
  }

  @Override
  public void delete(String name) throws IOException {
    throw refusal();
  }

  @Override
  public void syncDirectory(String directory) throws IOException {
    throw refusal();
  }

  @Override
  public UUID bootId() throws IOException {
    return files.bootId();
  }

  @Override
  public long availableBytes() throws IOException {
    return files.availableBytes();
  }

  @Override
  public long totalBytes() throws IOException {
    return files.totalBytes();
  }

  /** The same for one of them. */
  private record ReadOnlyFile(StoreFile file) implements StoreFile {
    @Override
    public void read(long positionBytes, ByteBuffer destination) throws IOException {
      file.read(positionBytes, destination);
    }

    @Override
    public void write(long positionBytes, ByteBuffer source) throws IOException {
      throw refusal();
    }

    @Override
    public void sync() throws IOException {
      throw refusal();
    }

    @Override
    public long sizeBytes() throws IOException {
      return file.sizeBytes();
    }

    @Override
    public void punchHole(long positionBytes, long lengthBytes) throws IOException {
      throw refusal();
    }

    @Override
    public long allocatedBytes() throws IOException {
      return file.allocatedBytes();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
