//! Layouts that real cosign filled, read as archives and as directories, and hostile ones.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use scgate::model::DenyCode;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Manifest;
use scgate::model::Reference;
use scgate::registry::Error;
use scgate::registry::Layout;
use scgate::registry::LayoutFault;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use scgate::transport::Deadline;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cosign-lab")
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn open(path: &Path) -> Result<Source, Error> {
    Layout::open(path, &Limits::default()).map(Source::Layout)
}

/// All digests of an image and of what its index lists.
fn family(source: &Source, reference: &Reference) -> Vec<Digest> {
    block_on(async {
        let resolved = source.resolve(reference, soon()).await.unwrap();
        let digest = resolved.pinned.digest();
        let raw = source
            .manifest(reference.repository(), &digest, soon())
            .await
            .unwrap();
        let limits = Limits::default();
        let mut all = vec![digest];
        if let Ok(Manifest::Index(index)) = Manifest::parse(&raw.bytes, None, 100, &limits) {
            all.extend(index.manifests.iter().map(|child| child.digest));
        }
        all
    })
}

fn ways(source: &Source, reference: &Reference, digest: Digest) -> Vec<Way> {
    let listing = block_on(source.list(
        &reference.pin(digest),
        reference.repository(),
        &Search::default(),
        soon(),
    ));
    assert_eq!(listing.gaps, []);
    for candidate in &listing.candidates {
        let found = &candidate.descriptor.digest;
        block_on(source.manifest(reference.repository(), found, soon())).unwrap();
    }
    listing.candidates.iter().map(|c| c.via).collect()
}

#[test]
fn what_cosign_wrote_is_found_in_archives_on_every_way() {
    let samples = samples();
    let reference = Reference::in_layout(Some("1.0".to_owned()), None);
    for (name, expected) in [
        ("unsigned", &[][..]),
        ("bundle-rekor1-fallback", &[Way::FallbackTag][..]),
        ("bundle-rekor2-fallback", &[Way::FallbackTag]),
        ("bundle-rekor2-referrers", &[Way::Layout]),
        ("legacy-cosign2", &[Way::SignatureTag]),
        ("legacy-cosign3", &[Way::SignatureTag]),
        ("legacy-oci11-experimental", &[Way::Layout]),
        (
            "dual-bundle-and-legacy",
            &[Way::FallbackTag, Way::SignatureTag],
        ),
        ("key-signed", &[Way::FallbackTag]),
    ] {
        let source = open(&samples.join(format!("{name}.tar"))).unwrap();
        let family = family(&source, &reference);
        assert_eq!(family.len(), 5, "{name}");
        let image = family[0];
        let found = ways(&source, &reference, image);
        assert_eq!(found, expected, "{name}");
        // The only image of a layout needs no tag.
        let alone = block_on(source.resolve(&Reference::in_layout(None, None), soon())).unwrap();
        assert_eq!(alone.pinned.digest(), image, "{name}");
    }
    let source = open(&samples.join("attest-legacy-cosign2.tar")).unwrap();
    let family = family(&source, &reference);
    let found: Vec<_> = family
        .iter()
        .flat_map(|digest| ways(&source, &reference, *digest))
        .collect();
    assert_eq!(found, [Way::AttestationTag]);
}

#[test]
fn a_directory_reads_as_the_archive_it_came_from() {
    let samples = samples();
    let archive = samples.join("bundle-rekor2-referrers.tar");
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive, dir.path());
    let reference = Reference::in_layout(Some("1.0".to_owned()), None);
    let (packed, plain) = (open(&archive).unwrap(), open(dir.path()).unwrap());
    let family = family(&packed, &reference);
    assert_eq!(self::family(&plain, &reference), family);
    for digest in family {
        assert_eq!(
            ways(&plain, &reference, digest),
            ways(&packed, &reference, digest)
        );
    }
}

/// A small reader of plain tar archives: the samples have regular files with short names only.
pub(super) fn unpack(archive: &Path, into: &Path) {
    let mut file = File::open(archive).unwrap();
    let mut header = [0; 512];
    while file.read_exact(&mut header).is_ok() && header[0] != 0 {
        let name = std::str::from_utf8(&header[..100]).unwrap();
        let name = name.trim_end_matches('\0').to_owned();
        let size = std::str::from_utf8(&header[124..135]).unwrap();
        let size = u64::from_str_radix(size, 8).unwrap();
        let path = into.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut body = Vec::new();
        Read::by_ref(&mut file)
            .take(size)
            .read_to_end(&mut body)
            .unwrap();
        fs::write(path, body).unwrap();
        let rest = i64::try_from(size.next_multiple_of(512) - size).unwrap();
        file.seek(SeekFrom::Current(rest)).unwrap();
    }
}

/// A tar archive under construction.
#[derive(Clone, Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    /// What is there of an archive, without the zeros at its end.
    pub(crate) fn reopened(mut bytes: Vec<u8>) -> Self {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(end.next_multiple_of(512));
        Self(bytes)
    }

    pub(crate) fn entry(mut self, kind: u8, name: &str, body: &[u8]) -> Self {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, body: &[u8]) -> Self {
        self.entry(b'0', name, body)
    }

    /// With the zeros that mark the end.
    pub(crate) fn ended(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    /// A pax header with these records, for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (key, value) in records {
            // The length counts itself.
            let rest = format!(" {key}={value}\n");
            let short = rest.len() + 2;
            let length = if short < 100 { short } else { short + 1 };
            body += &format!("{length}{rest}");
        }
        self.entry(b'x', "x", body.as_bytes())
    }

    fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("layout.tar");
        fs::write(&path, self.ended()).unwrap();
        path
    }
}

const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

fn image() -> Vec<u8> {
    let empty = Digest::sha256(b"{}");
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{empty}","size":2}},"layers":[]}}"#
    )
    .into_bytes()
}

fn index(entries: &[(&[u8], BTreeMap<&str, &str>)]) -> Vec<u8> {
    let entries: Vec<_> = entries
        .iter()
        .map(|(bytes, annotations)| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": Digest::sha256(bytes).to_string(),
                "size": bytes.len(),
                "annotations": annotations,
            })
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({"schemaVersion": 2, "manifests": entries})).unwrap()
}

fn tagged(tag: &str) -> BTreeMap<&str, &str> {
    BTreeMap::from([("org.opencontainers.image.ref.name", tag)])
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::sha256(bytes).hex())
}

#[test]
fn names_that_lead_out_of_the_archive_and_links_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let index = index(&[(&image, tagged("1"))]);
    let reference = Reference::in_layout(Some("1".to_owned()), None);
    let good = Tar::default()
        .file("./oci-layout", MARKER)
        .file("./index.json", &index);
    let digest = Digest::sha256(&image);
    let name = blob_name(&image);
    let is_there = |tar: Tar| {
        let source = open(&tar.write(dir.path())).unwrap();
        let repository = reference.repository().clone();
        match block_on(source.manifest(&repository, &digest, soon())) {
            Ok(raw) => raw.digest == digest,
            Err(error) => {
                assert!(error.is_not_found(), "{error}");
                false
            }
        }
    };
    let with = |kind, name: &str| good.clone().entry(kind, name, &image);
    assert!(is_there(with(b'0', &name)));
    assert!(is_there(with(0, &format!("./{name}"))));
    for (kind, name) in [
        (b'0', format!("/{name}")),
        (b'0', format!("../{name}")),
        (b'0', format!("blobs/../{name}")),
    ] {
        assert!(!is_there(with(kind, &name)), "{kind} {name}");
    }
    // What readers could differ about: links and directories with a content, and anything but a
    // plain file under a name of the layout.
    for (kind, name, body, expected) in [
        (b'1', &*name, &image[..], LayoutFault::NotAnArchive),
        (b'2', &name, &image, LayoutFault::NotAnArchive),
        (b'5', "elsewhere/", &image, LayoutFault::NotAnArchive),
        (b'6', &name, &image, LayoutFault::NotAnArchive),
        (b'1', &name, b"", LayoutFault::NotAFile),
        (b'2', &name, b"", LayoutFault::NotAFile),
        (b'5', &name, b"", LayoutFault::NotAFile),
        (b'S', &name, &image, LayoutFault::NotAFile),
    ] {
        let archive = good.clone().entry(kind, name, body);
        let error = open(&archive.write(dir.path())).unwrap_err();
        assert_eq!(error.code(), DenyCode::LayoutUnreadable, "{kind} {name}");
        let Error::Layout { fault, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(fault, expected, "{kind} {name}");
    }
    // GNU long names and pax names are read; a sparse file is not.
    let long = |kind, body: &[u8]| good.clone().entry(kind, "x", body).file("y", &image);
    assert!(is_there(long(b'L', format!("{name}\0").as_bytes())));
    let pax = |records: &[(&str, &str)]| good.clone().pax(records).file("y", &image);
    assert!(is_there(pax(&[("path", &name)])));
    let sparse = pax(&[("path", &name), ("GNU.sparse.major", "1")]);
    let error = open(&sparse.write(dir.path())).unwrap_err();
    assert_eq!(error.code(), DenyCode::LayoutUnreadable);
    // The last of two blobs with one name is read, and has to have the digest all the same.
    let twice = with(b'0', &name).file(&name, b"other");
    let source = open(&twice.write(dir.path())).unwrap();
    let error = block_on(source.manifest(reference.repository(), &digest, soon())).unwrap_err();
    assert_eq!(error.code(), DenyCode::DigestMismatch);
}

/// Cut anywhere, an archive would lack evidence, or worse: only a whole one is read.
#[test]
fn an_archive_cut_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let name = blob_name(&image);
    let tar = Tar::default()
        .file("oci-layout", MARKER)
        .file("index.json", &index(&[(&image, tagged("1"))]))
        .pax(&[("path", &name)])
        .file("x", &image)
        .entry(b'L', "././@LongLink", b"blobs/sha256/00\0")
        .file("y", &[1; 600]);
    let path = tar.write(dir.path());
    assert!(open(&path).is_ok());
    let bytes = tar.ended();
    let first_zeros = bytes.len() - 1024 + 512;
    for length in 0..first_zeros {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = open(&path).unwrap_err();
        assert_eq!(error.code(), DenyCode::LayoutUnreadable, "{length}");
    }
    fs::write(&path, &bytes[..first_zeros]).unwrap();
    assert!(open(&path).is_ok());
}

#[test]
fn reads_of_a_layout_end_with_the_deadline() {
    let source = open(&samples().join("bundle-rekor2-referrers.tar")).unwrap();
    let reference = Reference::in_layout(Some("1.0".to_owned()), None);
    let pinned = block_on(source.resolve(&reference, soon())).unwrap().pinned;
    let over = Deadline::after(Duration::ZERO);
    let read = |deadline| {
        let digest = pinned.digest();
        block_on(source.manifest(pinned.repository(), &digest, deadline))
            .map_err(|error| error.code())
    };
    assert!(read(soon()).is_ok());
    assert_eq!(read(over).err(), Some(DenyCode::DeadlineExceeded));
    let listing = |deadline| {
        let search = Search::default();
        block_on(source.list(&pinned, pinned.repository(), &search, deadline))
    };
    assert!(listing(soon()).gaps.is_empty());
    assert_eq!(listing(over).gaps[0].code(), DenyCode::DeadlineExceeded);
    assert!(listing(over).candidates.is_empty());
}

#[test]
fn a_layout_that_takes_longer_than_there_is_time_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    // Indexes that take a while to parse, and the referrer behind them.
    let padding: String = (0..10_000).map(|n| format!("\"{n}\":\"\",")).collect();
    let mut blobs: Vec<_> = (0..40)
        .map(|n| {
            let text = format!(
                r#"{{"schemaVersion":2,"manifests":[],"annotations":{{{padding}"a":"{n}"}}}}"#
            );
            text.into_bytes()
        })
        .collect();
    let referrer = referrer(&image, 0);
    let found = Digest::sha256(&referrer);
    blobs.push(referrer);
    let all: Vec<_> = blobs
        .iter()
        .map(|blob| (&blob[..], BTreeMap::new()))
        .collect();
    let outer = index(&all);
    blobs.push(outer);
    let source = layout_of(dir.path(), &image, &blobs);
    let little = || Deadline::after(Duration::from_millis(20));
    let expected = (vec![], vec![DenyCode::DeadlineExceeded]);
    assert_eq!(listed(&source, little()), expected);
    // What was cut short is read again, and then kept.
    assert_eq!(listed(&source, soon()), (vec![found], vec![]));
    let start = std::time::Instant::now();
    assert_eq!(listed(&source, soon()), (vec![found], vec![]));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_is_no_layout_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let fault = |bytes: &[u8]| {
        let path = dir.path().join("file.tar");
        fs::write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err();
        let Error::Layout { fault, .. } = error else {
            panic!("{error}");
        };
        fault
    };
    let layout = || {
        Tar::default()
            .file("oci-layout", MARKER)
            .file("index.json", &index(&[]))
    };
    assert_eq!(fault(b""), LayoutFault::NotAnArchive);
    assert_eq!(fault(&[b'x'; 2000]), LayoutFault::NotAnArchive);
    assert_eq!(fault(&[0; 2048]), LayoutFault::NotAnArchive);
    let mut gzip = vec![0; 1024];
    gzip[..2].copy_from_slice(b"\x1f\x8b");
    assert_eq!(fault(&gzip), LayoutFault::Compressed("gunzip"));
    assert_eq!(
        fault(&Tar::default().file("manifest.json", b"[]").ended()),
        LayoutFault::DockerArchive
    );
    assert_eq!(
        fault(&Tar::default().file("x", b"[]").ended()),
        LayoutFault::NotALayout
    );
    assert_eq!(
        fault(&Tar::default().file("x", b"[]").0),
        LayoutFault::Truncated
    );
    let old = Tar::default().file("oci-layout", br#"{"imageLayoutVersion":"2.0"}"#);
    assert_eq!(fault(&old.ended()), LayoutFault::Version("2.0".to_owned()));
    let twice = layout().file("index.json", &index(&[]));
    assert_eq!(
        fault(&twice.ended()),
        LayoutFault::Duplicate("index.json".to_owned())
    );
    let whole = layout().file("blobs/sha256/00", &[1; 600]).0;
    assert_eq!(fault(&whole[..whole.len() - 512]), LayoutFault::Truncated);
    let mut flipped = layout().ended();
    flipped[3] ^= 1;
    assert_eq!(fault(&flipped), LayoutFault::NotAnArchive);
    // An archive of Docker 25 has both.
    let both = layout().file("manifest.json", b"[]");
    assert!(open(&both.write(dir.path())).is_ok());

    let missing = open(&dir.path().join("absent")).unwrap_err();
    assert_eq!(missing.code(), DenyCode::LayoutUnreadable);
    let malformed = Tar::default()
        .file("oci-layout", MARKER)
        .file("index.json", b"{\"schemaVersion\":2");
    let error = open(&malformed.write(dir.path())).unwrap_err();
    assert_eq!(error.code(), DenyCode::ManifestMalformed);
}

#[test]
fn tags_of_a_layout_are_plain_or_ambiguous_and_never_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (image(), b"other".to_vec());
    let entries = index(&[
        (&one, tagged("1")),
        (&one, tagged("1")),
        (&one, tagged("2")),
        (&two, tagged("2")),
        (&two, tagged("docker.io/library/app:3")),
    ]);
    let tar = Tar::default()
        .file("oci-layout", MARKER)
        .file("index.json", &entries);
    let source = open(&tar.write(dir.path())).unwrap();
    let resolve = |reference: &Reference| block_on(source.resolve(reference, soon()));
    let by_tag = |tag: &str| resolve(&Reference::in_layout(Some(tag.to_owned()), None));
    assert_eq!(by_tag("1").unwrap().pinned.digest(), Digest::sha256(&one));
    let ambiguous = by_tag("2").unwrap_err();
    assert_eq!(ambiguous.code(), DenyCode::ManifestMalformed);
    assert!(by_tag("4").unwrap_err().is_not_found());
    let full = Reference::parse("app:3").unwrap();
    assert_eq!(
        resolve(&full).unwrap().pinned.digest(),
        Digest::sha256(&two)
    );
    let none = resolve(&Reference::in_layout(None, None)).unwrap_err();
    assert_eq!(none.code(), DenyCode::ManifestMalformed);
}

#[test]
fn what_cosign_saved_belongs_to_the_image_of_its_layout() {
    let dir = tempfile::tempdir().unwrap();
    let kind = |name| BTreeMap::from([("kind", name)]);
    let subject = Digest::sha256(&image());
    // The signatures have no subject; the bundle and one that cannot be read are plain entries.
    let signatures = String::from_utf8(image()).unwrap().replace("a/b", "a/s");
    let bundle = String::from_utf8(image()).unwrap().replacen(
        '{',
        &format!(r#"{{"subject":{{"mediaType":"x/y","digest":"{subject}","size":1}},"#),
        1,
    );
    let (image, signatures, bundle) = (image(), signatures.as_bytes(), bundle.as_bytes());
    let unread = b"{\"not\":\"a manifest\"}";
    let entries = index(&[
        (&image, kind("dev.cosignproject.cosign/image")),
        (signatures, kind("dev.cosignproject.cosign/sigs")),
        (bundle, BTreeMap::new()),
        (unread, BTreeMap::new()),
    ]);
    let mut tar = Tar::default()
        .file("oci-layout", MARKER)
        .file("index.json", &entries);
    for blob in [&image[..], signatures, bundle, unread] {
        tar = tar.file(&blob_name(blob), blob);
    }
    let source = open(&tar.write(dir.path())).unwrap();
    let reference = Reference::in_layout(None, None);
    assert_eq!(
        ways(&source, &reference, subject),
        [Way::Layout, Way::Layout, Way::SignatureTag]
    );
    let other = Digest::sha256(b"another image");
    assert_eq!(ways(&source, &reference, other), [Way::Layout]);
}

/// A directory with these blobs, and the last of them as the only untagged entry.
fn layout_of(root: &Path, named: &[u8], blobs: &[Vec<u8>]) -> Source {
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    fs::write(root.join("oci-layout"), MARKER).unwrap();
    let last = blobs.last().unwrap();
    let entries = index(&[(named, tagged("1")), (last, BTreeMap::new())]);
    fs::write(root.join("index.json"), entries).unwrap();
    for blob in blobs.iter().map(Vec::as_slice).chain([named]) {
        fs::write(root.join(blob_name(blob)), blob).unwrap();
    }
    open(root).unwrap()
}

/// A manifest that refers to another one, and tells itself apart by a number.
fn referrer(subject: &[u8], number: usize) -> Vec<u8> {
    let subject = Digest::sha256(subject);
    let members = format!(
        r#"{{"subject":{{"mediaType":"x/y","digest":"{subject}","size":1}},"annotations":{{"n":"{number}"}},"#
    );
    let image = String::from_utf8(image()).unwrap();
    image.replacen('{', &members, 1).into_bytes()
}

/// What is listed about the image `1`, and the codes of the gaps.
fn listed(source: &Source, deadline: Deadline) -> (Vec<Digest>, Vec<DenyCode>) {
    let reference = Reference::in_layout(Some("1".to_owned()), None);
    let pinned = block_on(source.resolve(&reference, soon())).unwrap().pinned;
    let search = Search::default();
    let listing = block_on(source.list(&pinned, pinned.repository(), &search, deadline));
    let candidates = listing.candidates.iter();
    (
        candidates.map(|found| found.descriptor.digest).collect(),
        listing.gaps.iter().map(Error::code).collect(),
    )
}

#[test]
fn what_lies_deeper_than_is_read_is_a_limit_and_not_an_absence() {
    let nothing = (Vec::new(), vec![DenyCode::LimitExceeded]);
    for depth in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let image = image();
        let referrer = referrer(&image, 0);
        let found = Digest::sha256(&referrer);
        let mut blobs = vec![referrer];
        for _ in 0..depth {
            let outer = index(&[(blobs.last().unwrap(), BTreeMap::new())]);
            blobs.push(outer);
        }
        let source = layout_of(dir.path(), &image, &blobs);
        let expected = if depth <= 4 {
            (vec![found], vec![])
        } else {
            nothing.clone()
        };
        assert_eq!(listed(&source, soon()), expected, "{depth}");
    }
    // An index that lists itself, or what was read higher up, hides nothing.
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let referrer = referrer(&image, 0);
    let mut blobs = vec![referrer.clone()];
    for _ in 0..4 {
        let inner = blobs.last().unwrap();
        let outer = index(&[(inner, BTreeMap::new()), (&referrer, BTreeMap::new())]);
        blobs.push(outer);
    }
    let source = layout_of(dir.path(), &image, &blobs);
    let found = Digest::sha256(&referrer);
    assert_eq!(listed(&source, soon()), (vec![found], vec![]));
    // An index with more entries than are read is a limit as well, wherever it lies.
    for (count, expected) in [(1000, (vec![found], vec![])), (1001, nothing)] {
        let dir = tempfile::tempdir().unwrap();
        let wide = index(&vec![(&referrer[..], BTreeMap::new()); count]);
        let outer = index(&[(&wide, BTreeMap::new())]);
        let source = layout_of(dir.path(), &image, &[referrer.clone(), wide, outer]);
        assert_eq!(listed(&source, soon()), expected, "{count}");
    }
}

/// Annotations may be megabytes at each of many entries, so only what is read of them is kept.
#[test]
fn what_is_listed_keeps_its_hint_and_nothing_else_that_the_layout_says() {
    const HINT: &str = "dev.sigstore.bundle.predicateType";
    let (longest, longer) = ("x".repeat(1024), "x".repeat(1025));
    for (hint, kept) in [("https://a/b", true), (&longest, true), (&longer, false)] {
        let dir = tempfile::tempdir().unwrap();
        let image = image();
        let notes = |hint| BTreeMap::from([(HINT, hint), ("a", "b"), ("c", "d")]);
        let (nested, direct) = (referrer(&image, 0), referrer(&image, 1));
        let inner = index(&[(&nested, notes(hint))]);
        let outer = index(&[(&inner, notes("")), (&direct, notes(hint))]);
        let fallback = index(&[(&nested, notes(hint))]);
        let tag = format!("sha256-{}", Digest::sha256(&image).hex());
        let mut signature = notes(hint);
        let signature_tag = format!("{tag}.sig");
        signature.extend(tagged(&signature_tag));
        let entries = index(&[
            (&image, tagged("1")),
            (&fallback, tagged(&tag)),
            (&direct, signature),
            (&outer, notes("")),
        ]);
        let blobs = [nested, direct, inner, fallback, outer];
        drop(layout_of(dir.path(), &image, &blobs));
        fs::write(dir.path().join("index.json"), entries).unwrap();
        let source = open(dir.path()).unwrap();
        let reference = Reference::in_layout(Some("1".to_owned()), None);
        let pinned = block_on(source.resolve(&reference, soon())).unwrap().pinned;
        for (way, count) in [
            (Way::Layout, 2),
            (Way::FallbackTag, 1),
            (Way::SignatureTag, 1),
        ] {
            let mut search = Search::default();
            search.ways = [way].into();
            let repository = pinned.repository();
            let listing = block_on(source.list(&pinned, repository, &search, soon()));
            assert_eq!(
                (listing.candidates.len(), &listing.gaps[..]),
                (count, &[][..])
            );
            for found in listing.candidates {
                assert_eq!(found.predicate_hint(), kept.then_some(hint), "{way:?}");
                assert_eq!(found.descriptor.annotations.len(), usize::from(kept));
                assert_eq!(found.manifest, None);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn links_below_a_layout_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("layout"), dir.path().join("outside"));
    let image = image();
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    fs::write(root.join("oci-layout"), MARKER).unwrap();
    fs::write(root.join("index.json"), index(&[(&image, tagged("1"))])).unwrap();
    fs::write(&outside, &image).unwrap();
    let blob = root.join(blob_name(&image));
    std::os::unix::fs::symlink(&outside, &blob).unwrap();
    let source = open(&root).unwrap();
    let digest = Digest::sha256(&image);
    let repository = Reference::in_layout(None, None).repository().clone();
    let read = || block_on(source.manifest(&repository, &digest, soon()));
    assert_eq!(read().unwrap_err().code(), DenyCode::LayoutUnreadable);
    fs::remove_file(&blob).unwrap();
    assert!(read().unwrap_err().is_not_found());
    fs::write(&blob, &image).unwrap();
    assert_eq!(read().unwrap().digest, digest);
    // A linked directory on the way is refused as well; the root itself may be a link.
    fs::rename(root.join("blobs"), dir.path().join("blobs")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("blobs"), root.join("blobs")).unwrap();
    assert_eq!(read().unwrap_err().code(), DenyCode::LayoutUnreadable);
}

#[test]
fn blobs_have_the_size_and_the_digest_of_their_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let body = b"payload";
    let wrong = Digest::sha256(b"else");
    let tar = Tar::default()
        .file("oci-layout", MARKER)
        .file("index.json", &index(&[]))
        .file(&blob_name(body), body)
        .file(&format!("blobs/sha256/{}", wrong.hex()), body);
    let source = open(&tar.write(dir.path())).unwrap();
    let repository = Reference::in_layout(None, None).repository().clone();
    let read = |digest, size, cap| {
        let descriptor = Descriptor::new("a/b".to_owned(), digest, size);
        block_on(source.blob(&repository, &descriptor, cap, soon())).map_err(|e| e.code())
    };
    let digest = Digest::sha256(body);
    assert_eq!(read(digest, 7, 7).unwrap().as_ref(), body);
    assert_eq!(read(digest, 6, 7), Err(DenyCode::DigestMismatch));
    assert_eq!(read(digest, 8, 9), Err(DenyCode::DigestMismatch));
    assert_eq!(read(digest, 7, 6), Err(DenyCode::LimitExceeded));
    assert_eq!(read(digest, u64::MAX, 6), Err(DenyCode::LimitExceeded));
    assert_eq!(read(wrong, 7, 7), Err(DenyCode::DigestMismatch));
    let absent = Digest::sha256(b"absent");
    assert_eq!(read(absent, 7, 7), Err(DenyCode::ImageNotFound));
}
