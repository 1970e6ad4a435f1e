package io.malleable.lab;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Runs the scripts that build an image: unpacks them, shows their progress, passes on their errors,
 * and ends them when they take too long or when this thread is interrupted.
 *
 * <p>A script called {@code build} gets the cache directory and further arguments; it writes {@code
 * STEP/STEPS TEXT} for each step on standard error, {@code error: TEXT} before it fails, and the
 * path of the raw image on standard output.
 *
 * @param name of the directory with the scripts among this room's resources
 * @param scripts their names, {@code build} among them
 * @param limit for one build; downloads may hang
 */
record ImageBuild(String name, List<String> scripts, Duration limit) {
  private static final Pattern PROGRESS = Pattern.compile("(\\d+)/(\\d+) (.*)");
  private static final int REMEMBERED_LINES = 40;
  private static final String ANSWER = "answer";

  /** Of the environment. Packages run scripts as root, which must not see the caller's secrets. */
  private static final Pattern PASSED_ON =
      Pattern.compile("PATH|HOME|TMPDIR|XDG_CACHE_HOME|LANG|(?i:[a-z]+_proxy)");

  /** How long a script may take to remove its files and mounts, or its last words to arrive. */
  private static final Duration GRACE = Duration.ofSeconds(30);

  /**
   * Builds, or finds what was built before.
   *
   * @param cache keeps packages and images, and is made when it is not there
   * @param environment of the programs that the script calls; they get only the search path, proxy
   *     settings, and where to put files
   * @throws IOException when it cannot be built; the message says why and what helps
   */
  Path run(
      Path cache, Map<String, String> environment, List<String> arguments, ImageProgress progress)
      throws IOException {
    Files.createDirectories(cache);
    Path unpacked = Files.createTempDirectory(cache, "builder.");
    try {
      for (String script : scripts) {
        try (InputStream in = ImageBuild.class.getResourceAsStream(name + "/" + script)) {
          if (in == null) {
            throw new IllegalStateException("resource " + name + "/" + script + " is missing");
          }
          Files.copy(in, unpacked.resolve(script));
        }
      }
      List<String> command = new ArrayList<>();
      command.addAll(List.of("bash", unpacked.resolve("build").toString(), cache.toString()));
      command.addAll(arguments);
      return watch(unpacked, environment, command, progress);
    } finally {
      delete(unpacked);
    }
  }

  static Map<String, String> passedOn(Map<String, String> environment) {
    Map<String, String> passed = new HashMap<>(environment);
    passed.keySet().removeIf(name -> !PASSED_ON.matcher(name).matches());
    return passed;
  }

  private void delete(Path unpacked) throws IOException {
    for (String script : scripts) {
      Files.deleteIfExists(unpacked.resolve(script));
    }
    Files.deleteIfExists(unpacked.resolve(ANSWER));
    Files.deleteIfExists(unpacked);
  }

  private Path watch(
      Path unpacked, Map<String, String> environment, List<String> command, ImageProgress progress)
      throws IOException {
    Path answer = Files.createFile(unpacked.resolve(ANSWER));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().putAll(passedOn(environment));
    builder.redirectInput(Path.of("/dev/null").toFile());
    builder.redirectOutput(answer.toFile());
    Process process = null;
    Thread atExit = null;
    try {
      process = builder.start();
      Process running = process;
      atExit = new Thread(() -> endAtExit(running, unpacked), "image build ends");
      Runtime.getRuntime().addShutdownHook(atExit);
      Deque<String> said = new ArrayDeque<>();
      // Reading cannot be interrupted, waiting can.
      Thread reader = Thread.ofVirtual().start(() -> read(running, said, progress));
      if (!process.waitFor(limit.toSeconds(), TimeUnit.SECONDS)) {
        end(process);
        throw new IOException(
            "it took longer than " + limit.toMinutes() + " minutes and was ended");
      }
      // Whatever it left running may hold the other end open.
      reader.join(GRACE);
      int status = process.exitValue();
      Path image = Path.of(Files.readString(answer).strip());
      if (status != 0 || !Files.isRegularFile(image)) {
        throw new IOException(reason(said, status));
      }
      return image;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while the image was being built");
    } finally {
      if (process != null) {
        end(process);
      }
      if (atExit != null) {
        removeHook(atExit);
      }
    }
  }

  private static void read(Process process, Deque<String> said, ImageProgress progress) {
    try (BufferedReader lines = process.errorReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        note(line, said, progress);
      }
    } catch (IOException e) {
      synchronized (said) {
        said.addLast("its messages cannot be read: " + e.getMessage());
      }
    }
  }

  private static void note(String line, Deque<String> said, ImageProgress progress) {
    Matcher step = PROGRESS.matcher(line);
    if (step.matches()) {
      progress.onStep(
          Integer.parseInt(step.group(1)), Integer.parseInt(step.group(2)), step.group(3));
    }
    synchronized (said) {
      if (step.matches()) {
        said.clear();
        return;
      }
      said.addLast(line.startsWith("error: ") ? line.substring("error: ".length()) : line);
      if (said.size() > REMEMBERED_LINES) {
        said.removeFirst();
      }
    }
  }

  private static String reason(Deque<String> said, int status) {
    synchronized (said) {
      return said.isEmpty() ? "the builder ended with status " + status : String.join("\n", said);
    }
  }

  /**
   * Ends the script and all that it started. Its programs are killed first, because bash hears a
   * signal only between two of them; then it may tidy up.
   */
  private static void end(Process process) {
    List<ProcessHandle> programs = process.descendants().toList();
    process.destroy();
    programs.forEach(ProcessHandle::destroyForcibly);
    boolean interrupted = Thread.interrupted();
    try {
      if (!process.waitFor(GRACE.toSeconds(), TimeUnit.SECONDS)) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    } finally {
      process.destroyForcibly();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** The process is told to end: nobody else will tidy up. */
  private void endAtExit(Process process, Path unpacked) {
    end(process);
    try {
      delete(unpacked);
    } catch (IOException e) {
      System.getLogger(ImageBuild.class.getName())
          .log(System.Logger.Level.WARNING, "{0} is left behind: {1}", unpacked, e.getMessage());
    }
  }

  private static void removeHook(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending: the hook runs.
    }
  }
}
