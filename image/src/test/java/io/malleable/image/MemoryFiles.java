package io.malleable.image;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Files in memory, in directories that are there because they are; counts how often one is listed.
 */
final class MemoryFiles implements FileSystem {
  private final NavigableMap<String, byte[]> files = new TreeMap<>();
  private final List<String> paths = new ArrayList<>();
  private int lists;

  MemoryFiles with(String path, String text) {
    files.put(path, text.getBytes(StandardCharsets.UTF_8));
    return this;
  }

  int lists() {
    return lists;
  }

  @Override
  public String type() {
    return "ext4";
  }

  @Override
  public String uuid() {
    return "";
  }

  @Override
  public String label() {
    return "";
  }

  @Override
  public Optional<Entry> find(String path) {
    paths.add(path);
    byte[] file = files.get(path);
    if (file != null) {
      return Optional.of(new Entry(Type.FILE, file.length, paths.size() - 1));
    }
    return below(path).isEmpty()
        ? Optional.empty()
        : Optional.of(new Entry(Type.DIRECTORY, 0, paths.size() - 1));
  }

  private Set<String> below(String directory) {
    Set<String> names = new TreeSet<>();
    String start = directory + "/";
    for (String path : files.tailMap(start).keySet()) {
      if (!path.startsWith(start)) {
        break;
      }
      names.add(path.substring(start.length()).split("/", 2)[0]);
    }
    return names;
  }

  @Override
  public List<String> list(String path) {
    lists++;
    return List.copyOf(below(path));
  }

  @Override
  public InputStream open(Entry entry) {
    byte[] file = files.get(paths.get((int) entry.id()));
    return file == null ? InputStream.nullInputStream() : new ByteArrayInputStream(file);
  }
}
