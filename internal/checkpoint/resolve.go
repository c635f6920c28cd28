package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/govene/govene/internal/hub"
	"github.com/govene/govene/internal/safetensors"
)

// Resolve returns the folder of a checkpoint: a folder as it is, and for a model's id on the hub ("gpt2", "owner/name",
// "owner/name@revision") the one in the cache, into which it fetches config.json and the safetensors files that are not there yet.
// Nothing else is fetched, and nothing that is there. Progress may be nil.
func Resolve(idOrFolder string, progress hub.Progress) (folder string, err error) {
	return resolve(idOrFolder, progress, func(repo *hub.Repo) error {
		_, err := repo.File(weightsFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		path, err := repo.File(indexFile)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s on the hub: got neither, wanted %s or %s: it may have pickles alone, which Govene does not read",
				repo, weightsFile, indexFile)
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		index, err := safetensors.ParseIndex(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, file := range shards(index) {
			if _, err := repo.File(file); err != nil {
				return err
			}
		}
		return nil
	})
}

// The files of a tokenizer, in Hugging Face's layout.
const (
	TokenizerFile       = "tokenizer.json"
	TokenizerConfigFile = "tokenizer_config.json"
	SpecialTokensFile   = "special_tokens_map.json"
	VocabularyFile      = "vocab.json"
	MergesFile          = "merges.txt"
)

// ResolveTokenizer is [Resolve] for a tokenizer: of a model on the hub it fetches tokenizer.json, or else vocab.json and
// merges.txt, and the small files that say which tokens are special.
func ResolveTokenizer(idOrFolder string) (folder string, err error) {
	return resolve(idOrFolder, nil, func(repo *hub.Repo) error {
		for _, name := range []string{TokenizerConfigFile, SpecialTokensFile} {
			if _, err := repo.File(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		_, err := repo.File(TokenizerFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := repo.File(VocabularyFile); err != nil {
			return fmt.Errorf("got no %s either: %w", TokenizerFile, err)
		}
		_, err = repo.File(MergesFile)
		return err
	})
}

// resolve is what Resolve and ResolveTokenizer share: folders, and config.json, which every model on the hub has.
func resolve(idOrFolder string, progress hub.Progress, fetch func(*hub.Repo) error) (string, error) {
	if status, err := os.Stat(idOrFolder); err == nil && status.IsDir() {
		return idOrFolder, nil
	}
	repo, err := hub.Open(idOrFolder, progress)
	if err != nil {
		return "", err
	}
	config, err := repo.File(ConfigFile)
	if err != nil {
		return "", err
	}
	return filepath.Dir(config), fetch(repo)
}
