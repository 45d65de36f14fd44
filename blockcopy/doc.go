// Package blockcopy copies disks and images so that a machine need stop only for
// minutes: verified, resumable, sparse, over a network too, and only what differs.
//
// Copy copies a Source to a Target: a regular file, a disk, or anything with ReadAt
// and WriteAt. With a journal, a copy that was killed, lost its power or filled the
// disk goes on where it was when it is called again. Send and Receive are the same
// copy with its two ends on two hosts, over one stream, such as that of Command, which
// runs the user's own ssh. Where the far host has no program of this package, NewDD is
// a Source over plain dd.
//
// # The stop
//
// A machine that runs is copied with Pass Live, once or more often, and the result is
// Dirty: the blocks are of different moments. Then the machine stops, and a Final pass
// reads both ends, moves what differs, and makes it Complete. Its digest is the
// BLAKE3 of the whole image, which b3sum confirms on either side.
//
// # Guarantees
//
//   - State Complete means: each block was read from the source during this pass, is on
//     the target, was flushed, and, if it was written, was read back past the page cache
//     and had the right digest. Result.Verified says whether the system allowed that.
//   - The journal never says more than the disk holds, at any instant, whatever is lost
//     when the power goes out: the data are flushed, then read back, then the journal is
//     written and flushed, every half second. What came after that is done twice.
//   - What an earlier run has done is read again before it counts, because the target may
//     have been used since. Options.TrustJournal spares that, and says what it risks.
//   - A journal of another source, target or size is refused, and so is a target that is
//     too small, in use, or the source itself in another guise, before anything is written.
//   - Memory does not grow with the image, and stays below 128 MiB.
//
// # What it does not do
//
// It cannot tell whether a disk was written by others while a Full or a Final pass read
// it: stop the machine first, or use Options.Recheck, which reads it twice. A regular
// file's size and times are compared.
//
// # Speed
//
// testdata/speed/speed.sh measures it beside its peers, in one run: medians of five, two
// processors, an image of 2 GiB (40 % zeros, 30 % random, 30 % text), as multiples of
// cp --sparse=always onto the page cache (0.40 s) where nothing else is said.
//
//	fresh, warm, nothing flushed or read back   1.8   qemu-img 1.1, nbdcopy 2.0, dd 2.3, rsync 13.8
//	fresh, flushed and journalled               3.3   cp and sync 2.8
//	fresh, read back too                        9.0
//	1 % changed, the live pass's journal there  1.0   rsync 6.9
//	1 % changed, no journal                     1.3
//	fresh, cold, journalled                     1.4 times reading the image past the cache; cp and sync 1.3
//	over ssh on loopback, not read back         1.0 times ssh dd | dd; 1.3 read back
//	60 ms, 100 Mbit/s, 256 MiB, fresh           1.2 times the bytes on the wire; a login takes 1.1 s of 9.8 s
//	the same, 1 % changed                       0.8 times rsync
//	hole                                        0.75 of b3sum's speed
//	peak memory                                 33 MiB
//
// What bounds it is BLAKE3 at 3 GB/s per processor, and the disk where it is read back.
//
// PROTOCOL.md, beside the code, has the format of the journal and the protocol.
package blockcopy
